/** The focus of a control that goes: hidden or disabled with it, it would fall to the page. */

const $ = (id) => document.getElementById(id);

/** Let the focus go elsewhere, where something has it that is about to be hidden or disabled. */
export function passFocus(from, to = resting()) {
  if (from.contains(document.activeElement)) {
    to.focus({ preventScroll: true });
  }
}

/** Where it rests: on the photo that is looked at, in the list. */
function resting() {
  return document.querySelector('#shelf [aria-current]')
    ?? document.querySelector('#welcome [data-action=choose]');
}

/** Disable a control, or not; its focus goes to another one. */
export function disable(control, disabled, to) {
  if (disabled) {
    passFocus(control, to.disabled ? $('stage') : to);
  }
  control.disabled = disabled;
}

/** Hide something, or not; the focus in it goes to something else. */
export function hide(element, hidden, to) {
  if (hidden) {
    passFocus(element, to);
  }
  element.hidden = hidden;
}
