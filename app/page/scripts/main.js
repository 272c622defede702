/** The page: its parts, put together. */

import { Album, wish } from './album.js';
import { follow, say } from './announce.js';
import { Background } from './background.js';
import { Colouring } from './colouring.js';
import { Doubt } from './doubt.js';
import { Download } from './download.js';
import { Gestures } from './gestures.js';
import { Hints } from './hints.js';
import { intake } from './intake.js';
import { Kept } from './kept.js';
import { Panel } from './panel.js';
import { Proposals } from './proposals.js';
import { ReferencePicker } from './reference.js';
import { Scene } from './scene.js';
import { service } from './service.js';
import { gone, Shelf } from './shelf.js';
import { Viewer } from './viewer.js';

const $ = (id) => document.getElementById(id);
const KEY_ZOOM = 1.5;

// Under a root path, with the slash that may have been left out; otherwise as it is.
history.replaceState(null, '', document.baseURI);

const album = new Album();
const colouring = new Colouring(album);
new Scene(album, colouring);
const background = new Background(album, colouring);
const viewer = new Viewer(album);
const hints = new Hints(viewer, (photo) => colouring.recolour(photo));
new Doubt(viewer, hints);
const panel = new Panel(album, colouring);
new Proposals(album, colouring, (proposal) => panel.choose({ proposal }));
new ReferencePicker(album, (reference) => panel.choose({ reference }));
const shelf = new Shelf(album, remove, restore);
const kept = new Kept(album);
new Gestures(viewer, hints);
new Download(album, colouring);
follow(album);

album.addEventListener('photos', () => {
  const some = album.photos.length > 0;
  $('welcome').hidden = some;
  $('work').hidden = !some;
  document.body.classList.toggle('open', some);
  $('away').hidden ||= !some; // nothing waits
});
album.addEventListener('selected', () => {
  hints.mode(false);
  hints.refresh();
  const photo = album.selected;
  if (photo?.state === 'done' && !photo.result) {
    colouring.recolour(photo); // given up for another photo's sake
  }
});
let able = false;
album.addEventListener('photo', ({ detail }) => {
  if (detail === album.selected && able !== (detail.state === 'done')) {
    able = detail.state === 'done';
    hints.refresh();
  }
});

let learned = panel.learn();
addEventListener('key', () => { learned = panel.learn(); });
viewer.addEventListener('detail', () => colouring.detail(viewer.photo));

/** The service's defaults, if it does not take long to tell them. */
const patient = () => Promise.race([learned, new Promise((resolve) => { setTimeout(resolve, 1000); })]);

intake(async (files) => {
  await patient();
  const first = !album.photos.length;
  const photos = album.add(files);
  if (first) {
    viewer.stage.focus({ preventScroll: true });
  }
  const turns = photos.map(({ turn }) => turn);
  const many = await background.isFor(photos);
  // Some may have been removed meanwhile, or been given their turn when they were taken back.
  const left = photos.filter(({ turn }, n) => turn === turns[n] && !turn.signal.aborted);
  if (many) {
    background.send(left);
    return;
  }
  left.forEach((photo) => colouring.start(photo));
  colouring.sketch(photos);
});

/** Whether a photo's colours are to come from its job, where it was handed in as it is. */
const handed = (photo) => !photo.result && photo.job?.wish === wish(photo);

/** Colours of photos that have none. */
function begin(photos) {
  background.resume(photos.filter(handed));
  photos.filter((photo) => !handed(photo)).forEach((photo) => colouring.start(photo));
}

/** Take photos off the page; the focus goes to the one that is looked at then. */
function remove(photos) {
  photos.forEach((photo) => photo.turn.abort());
  album.remove(photos);
  say(gone(photos));
  if (album.selected) {
    shelf.focus(album.selected);
  } else {
    document.querySelector('#welcome [data-action=choose]').focus();
  }
}

/** Put back what was removed last; what had no colours by then gets its turn anew. */
function restore() {
  const { photos } = album.removed;
  album.restore();
  photos.filter((photo) => photo.turn.signal.aborted && !photo.handing
    && !['done', 'failed', 'background'].includes(photo.state) && !handed(photo))
    .forEach((photo) => colouring.start(photo));
}

const actions = {
  'zoom-in': () => viewer.zoomBy(KEY_ZOOM),
  'zoom-out': () => viewer.zoomBy(1 / KEY_ZOOM),
  'zoom-fit': () => viewer.zoomFit(),
  'zoom-real': () => viewer.zoomReal(),
  remove: () => remove([album.selected]),
  accept: () => {
    viewer.stage.focus({ preventScroll: true });
    album.selected.options.damaged = 'accept';
    colouring.start(album.selected);
  },
  retry: () => {
    const photo = album.selected;
    viewer.stage.focus({ preventScroll: true });
    if (photo.state === 'failed') { // all that failed with it are of its job, if it has one yet
      begin(photo.job ? album.photos.filter(({ state, job }) => (
        state === 'failed' && job?.id === photo.job.id)) : [photo]);
    } else {
      colouring.recolour(photo);
    }
  },
};
for (const [action, run] of Object.entries(actions)) {
  document.querySelectorAll(`[data-action=${action}]`).forEach((button) => {
    button.addEventListener('click', run);
  });
}

addEventListener('beforeunload', (event) => album.unsaved && event.preventDefault());
service.addEventListener('away', ({ detail }) => {
  $('away').textContent = `${detail}. Photos wait here, and go on by themselves.`;
  $('away').hidden = false;
});
service.addEventListener('back', () => { $('away').hidden = true; });

const before = await kept.open();
if (before.length) {
  await patient();
  before.forEach((photo) => photo.keepOnly(panel.version));
  const looked = kept.lookedAt(before);
  album.enter(before, looked);
  begin([looked, ...before.filter((each) => each !== looked)]);
  colouring.sketch(before);
}
$('welcome').hidden = album.photos.length > 0;
