/**
 * Photos, what was chosen for them and their colours, kept in this browser over a reload.
 *
 * Best effort: where the browser keeps nothing, or has no room, the page works as ever. Tabs share
 * what is kept; what one of them removes comes back in none.
 */

import { Photo } from './album.js';
import { defaults } from './options.js';
import { pictureOf, remember } from './reference.js';

const $ = (id) => document.getElementById(id);
const STORE = 'photos'; // [id, 'file' | 'chosen' | 'result' | 'reference'] → value
const MOST = 1000; // photos, the latest
const MOST_BYTES = 500e6; // where the browser does not tell what room it has
const SHARE = 0.5; // of that room
const EVERY_MS = 200; // at most; uploads tell of their progress without a pause
const NO_ROOM = 'Not kept over a reload: this browser has no room.';
const LOOKED_AT = 'chromaserve-photo'; // of this tab, in its session storage

export class Kept {
  /** @param {import('./album.js').Album} album */
  constructor(album) {
    this.album = album;
    this.ids = new WeakMap(); // photo → id, which grows from photo to photo
    this.written = new Map(); // photo → {chosen, result} as they were written last
    this.coming = new Set(); // kept, and not on the page yet
    this.last = 0;
    this.own = Math.random(); // tells ids of tabs apart
    this.timer = 0;
    this.database = null;
    this.full = false; // what is removed is let go of, and nothing more is kept
  }

  /**
   * Bring back what was kept, and keep what comes from now on.
   *
   * @returns {Promise<Photo[]>} not on the page yet
   */
  async open() {
    const { album } = this;
    try {
      this.database = await opened();
      const room = await navigator.storage?.estimate?.();
      this.most = room?.quota ? SHARE * room.quota : MOST_BYTES;
      this.database.onclose = () => this.end(''); // somebody has cleared what sites keep
      const photos = (await read(this.database)).map((each) => this.revived(each));
      this.coming = new Set(photos);
      album.addEventListener('photos', () => {
        album.photos.forEach((photo) => {
          this.id(photo);
          this.coming.delete(photo);
        });
        this.write(); // at once: what is removed is gone, however soon the page is
      });
      album.addEventListener('photo', () => this.soon());
      album.addEventListener('selected', () => {
        sessionStorage.setItem(LOOKED_AT, this.ids.get(album.selected) ?? '');
      });
      addEventListener('pagehide', () => this.write());
      return photos;
    } catch {
      this.end('');
      return [];
    }
  }

  revived({ id, file, chosen, result, reference }) {
    const { options, saved, job = null } = JSON.parse(chosen);
    if (options.reference && reference) {
      remember(options.reference.id, reference).then(() => this.album.changed(photo));
    } else {
      options.reference = null;
    }
    const photo = new Photo(file, { ...defaults, ...options });
    photo.saved = saved;
    photo.job = job;
    if (result) {
      photo.results = [{ ...result, url: URL.createObjectURL(result.blob) }];
    }
    this.ids.set(photo, id);
    this.written.set(photo, { chosen, result: photo.results[0] });
    this.last = Math.max(this.last, id);
    return photo;
  }

  /** The one of these photos that was looked at in this tab. */
  lookedAt(photos) {
    const id = sessionStorage.getItem(LOOKED_AT);
    return photos.find((photo) => String(this.ids.get(photo)) === id) ?? photos[0];
  }

  soon() {
    this.timer ||= setTimeout(() => this.write(), EVERY_MS);
    $('kept').ariaBusy = Boolean(this.database);
  }

  id(photo) {
    if (!this.ids.has(photo)) {
      this.last = Math.max(Date.now(), Math.floor(this.last) + 1) + this.own;
      this.ids.set(photo, this.last);
    }
    return this.ids.get(photo);
  }

  /** Bring what is kept to what is on the page. */
  write() {
    clearTimeout(this.timer);
    this.timer = 0;
    if (!this.database) {
      return;
    }
    const wanted = this.bounded();
    const transaction = this.database.transaction(STORE, 'readwrite');
    const store = transaction.objectStore(STORE);
    const removed = [...this.written.keys()]
      .filter((photo) => !wanted.has(photo) && !this.coming.has(photo));
    for (const photo of removed) {
      this.written.delete(photo);
      store.delete(partsOf(this.ids.get(photo)));
    }
    transaction.onabort = () => { // no room, as a rule; what is on the page stays there
      removed.forEach((photo) => this.written.set(photo, {})); // as it still is
      this.album.kept = false;
      this.tell(NO_ROOM);
      if (!this.full) {
        this.full = true;
        this.soon();
      }
    };
    for (const photo of this.full ? [] : wanted) {
      const id = this.id(photo);
      const before = this.written.get(photo);
      const { options, saved, job, result } = photo;
      const chosen = JSON.stringify({ options, saved, job });
      if (!before) {
        store.put(photo.file, [id, 'file']);
      }
      if (before?.chosen !== chosen) {
        store.put(chosen, [id, 'chosen']);
        if (options.reference) {
          store.put(pictureOf(options.reference), [id, 'reference']);
        }
      }
      if (result && before?.result !== result) {
        const { url, ...rest } = result;
        store.put(rest, [id, 'result']);
      }
      this.written.set(photo, { chosen, result: result ?? before?.result });
    }
    transaction.commit();
    this.album.kept = !this.full && wanted.size === this.album.photos.length;
    const some = this.full ? NO_ROOM : wanted.size
      ? `The last ${wanted.size} are kept in this browser until you remove them.`
      : 'Too large to be kept over a reload.';
    const text = this.album.kept ? 'Kept in this browser until you remove them.' : some;
    transaction.oncomplete = () => this.tell(text, Boolean(this.timer));
  }

  /** The latest photos, as many as may be kept. */
  bounded() {
    const wanted = new Set();
    let bytes = 0;
    for (const photo of this.album.photos.toReversed()) {
      const { file, result, options: { reference } } = photo;
      bytes += file.size + (result?.blob.size ?? 0) + (reference ? pictureOf(reference).size : 0);
      if (wanted.size === MOST || bytes > this.most) {
        break;
      }
      wanted.add(photo);
    }
    return wanted;
  }

  tell(text, busy = false) {
    $('kept').textContent = text;
    $('kept').ariaBusy = busy;
  }

  end(why) {
    this.database?.close();
    this.database = null;
    this.album.kept = false;
    this.tell(why);
  }
}

/** @returns {Promise<IDBDatabase>} */
function opened() {
  const request = indexedDB.open('chromaserve', 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE);
  return ended(request);
}

async function read(database) {
  const store = database.transaction(STORE, 'readwrite').objectStore(STORE);
  const [keys, values] = await Promise.all([ended(store.getAllKeys()), ended(store.getAll())]);
  const photos = new Map();
  keys.forEach(([id, part], i) => {
    photos.set(id, { ...photos.get(id), id, [part]: values[i] });
  });
  const whole = [...photos.values()].filter(({ file }) => file);
  [...photos.values()]
    .filter(({ file }) => !file) // removed by another tab, and then changed by one
    .forEach(({ id }) => store.delete(partsOf(id)));
  return whole;
}

/** All that is kept of a photo. */
const partsOf = (id) => IDBKeyRange.bound([id], [id, []]);

function ended(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error('blocked'));
  });
}
