/** What a screen reader says without being asked. */

const live = document.getElementById('live');

export function say(text) {
  live.textContent = live.textContent === text ? `${text}\u00a0` : text;
}

/** Tell of photos that are done or failed: one by its name, many by their number. */
export function follow(album) {
  const told = new WeakMap();
  album.addEventListener('photo', ({ detail: photo }) => {
    const now = photo.working ? 'recolouring' : photo.state;
    const before = told.get(photo);
    told.set(photo, now);
    if (now === before) {
      return;
    }
    if (before === 'recolouring' && now === 'done') {
      say(photo.problem ? '' : 'Recoloured.');
    } else if (now === 'done' || now === 'failed') {
      summary(album, photo);
    } else if (now === 'waiting' && photo === album.selected) {
      say(`${photo.more.why}. Trying again in ${photo.more.seconds} seconds.`);
    }
  });
}

function summary({ photos }, photo) {
  if (photos.length === 1) {
    if (photo.state === 'done') {
      say(`${photo.name} is done.`); // a failure is an alert of its own
    }
    return;
  }
  const count = (state) => photos.filter((each) => each.state === state).length;
  const failed = count('failed');
  say(`${count('done')} of ${photos.length} photos are done${failed ? `, ${failed} failed` : ''}.`);
}
