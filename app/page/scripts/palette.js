/** Colours to pick for the next hint: what photos often have, and any other. */

const $ = (id) => document.getElementById(id);

export const COLORS = {
  skin: '#d9a27e', sky: '#6ea6dc', sea: '#2f6f86', grass: '#6f9440', leaves: '#3f6a2c',
  wood: '#8a5a34', brick: '#a5482c', straw: '#d8b25a', red: '#c02a30', rose: '#d98299',
  violet: '#7a4f9a', navy: '#2f4379',
};
export const NAMES = Object.fromEntries(Object.entries(COLORS).map(([name, color]) => [color, name]));

/** @param {import('./hints.js').Hints} hints whose colour is the one that is picked */
export function showPalette(hints) {
  const choices = Object.entries(COLORS).map(([name, color]) => {
    const input = Object.assign(document.createElement('input'), {
      type: 'radio', name: 'hint-color', value: color, checked: color === hints.color,
    });
    const swatch = document.createElement('span');
    swatch.style.backgroundColor = color;
    const label = document.createElement('label');
    label.title = name;
    input.setAttribute('aria-label', name);
    input.addEventListener('change', () => { hints.color = color; });
    label.append(input, swatch);
    // By pointer a colour is picked in order to place it; keys pass over many. At once: the next
    // click, on the photo, may be under way already.
    input.addEventListener('click', ({ detail }) => {
      if (detail) {
        hints.color = color;
        hints.picked();
      }
    });
    return label;
  });
  const own = Object.assign(document.createElement('input'), { type: 'color', value: '#888888' });
  own.setAttribute('aria-label', 'another colour');
  own.title = 'another colour';
  own.addEventListener('change', () => hints.asked && hints.picked());
  own.addEventListener('input', () => {
    hints.color = own.value;
    document.querySelectorAll('[name=hint-color]').forEach((each) => { each.checked = false; });
  });
  $('palette').replaceChildren(...choices, own);
  $('palette').addEventListener('keydown', ({ key }) => key === 'Enter' && hints.asked && hints.picked());
}
