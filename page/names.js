// What products are called: asked once for each that is seen, a few at a time.

const AT_ONCE = 4;
const KEPT_MAX = 2_000;

export class Names {
  constructor(duty, onNew) {
    Object.assign(this, { duty, onNew });
    this.known = new Map();
    this.waiting = [];
    this.asking = 0;
  }

  // The product's name, or its code or number until that is known.
  of(lane) {
    if (lane.name) return lane.name;
    const name = this.known.get(lane.product);
    if (name) return name;
    if (name === undefined) {
      if (this.known.size >= KEPT_MAX) this.known.delete(this.known.keys().next().value);
      this.known.set(lane.product, null);
      this.waiting.push(lane.product);
      this.next();
    }
    return lane.sku ?? `Product ${lane.product}`;
  }

  keep(product) {
    this.known.set(product.id, product.name);
  }

  async next() {
    if (this.asking >= AT_ONCE || this.waiting.length === 0) return;
    this.asking += 1;
    const id = this.waiting.shift();
    try {
      this.keep(await this.duty.quietly(`/api/products/${id}`));
      this.onNew();
    } catch {
      // Asked again when it is seen again after a while.
      setTimeout(() => this.known.delete(id), 5_000);
    } finally {
      this.asking -= 1;
      this.next();
    }
  }
}
