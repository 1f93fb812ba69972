// Dark or light, before anything is drawn: as the system says, unless somebody chose. A plain script in the head, because a
// module would come after the first picture.
'use strict';
(() => {
  const KEY = 'restock.theme';
  const THEMES = ['auto', 'light', 'dark'];
  const WORDS = { auto: 'Theme: system', light: 'Theme: light', dark: 'Theme: dark' };
  const root = document.documentElement;

  function stored() {
    try {
      const theme = localStorage.getItem(KEY);
      return THEMES.includes(theme) ? theme : 'auto';
    } catch {
      return 'auto';
    }
  }

  function apply(theme) {
    root.dataset.theme = theme;
    const button = document.getElementById('theme-button');
    if (button) button.textContent = WORDS[theme];
  }

  apply(stored());
  document.addEventListener('DOMContentLoaded', () => {
    apply(stored());
    document.getElementById('theme-button').addEventListener('click', () => {
      const theme = THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length];
      try {
        localStorage.setItem(KEY, theme);
      } catch {
        // Without storage it lasts as long as the page.
      }
      apply(theme);
    });
  });
})();
