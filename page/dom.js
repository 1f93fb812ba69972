// Elements made of data. Text is set as text and nothing else: no name of a product can become markup.

// Makes an element. An attribute that is false or null is left out, one that begins with `on` is a listener.
export function el(name, attributes = {}, ...children) {
  return furnish(document.createElement(name), attributes, children);
}

// The same within a drawing.
export function svg(name, attributes = {}, ...children) {
  return furnish(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);
}

function furnish(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const byId = (id) => document.getElementById(id);

// Touches the page only where something is new, so that a screen reader and a selection are left alone.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Shows the items in order, one child each, and keeps the children that are there: focus stays where it is.
// `make(item)` answers `{ element, update(item) }`.
export function keepList(parent, known, items, keyOf, make) {
  const wanted = new Set(items.map(keyOf));
  // These first, so that those behind them need not move: what moves loses the focus.
  for (const [key, child] of known) {
    if (wanted.has(key)) continue;
    child.element.remove();
    known.delete(key);
  }
  let before = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let child = known.get(key);
    if (!child) {
      child = make(item);
      known.set(key, child);
    }
    child.update(item);
    if (child.element === before) before = before.nextElementSibling;
    else parent.insertBefore(child.element, before);
  }
}
