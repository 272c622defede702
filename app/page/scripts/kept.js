/**
 * Photos, what was chosen for them and their colours, kept in this browser over a reload.
 *
 * Best effort: where the browser keeps nothing, or has no room, the page works as ever. Tabs share
 * what is kept; what one of them removes comes back in none, and the others are told.
 */

import { Photo } from './album.js';
import { ended, opened, partsOf, read, STORE } from './database.js';
import { copied } from './files.js';
import { defaults } from './options.js';
import { pictureOf, remember } from './reference.js';

const $ = (id) => document.getElementById(id);
const MOST = 1000; // photos, the latest
const MOST_BYTES = 500e6; // where the browser does not tell what room it has
const SHARE = 0.5; // of that room
const EVERY_MS = 200; // at most; uploads tell of their progress without a pause
const KEPT = 'in this browser until you remove them.';
const NO_ROOM = 'Not kept over a reload: this browser has no room.';
const LOOKED_AT = 'chromaserve-photo'; // of this tab, in its session storage

export class Kept {
  /** @param {import('./album.js').Album} album */
  constructor(album) {
    this.album = album;
    this.ids = new WeakMap(); // photo → id, which grows from photo to photo
    this.written = new Map(); // photo → {chosen, result} as they were written last
    this.coming = new Set(); // kept, and not on the page yet
    this.unread = new WeakSet(); // changed, gone or too large before there was a copy
    this.elsewhere = new WeakSet(); // another tab has removed them
    this.tabs = null; // the others of this page
    this.copying = false;
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
      this.tabs = new BroadcastChannel('chromaserve');
      this.tabs.onmessage = ({ data }) => this.hear(data);
      const photos = (await read(this.database)).map((each) => this.revived(each));
      this.coming = new Set(photos);
      album.addEventListener('photos', () => {
        album.photos.forEach((photo) => {
          this.id(photo);
          this.coming.delete(photo);
        });
        this.copy();
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

  /** Copies of files that are to be kept, one after the other: each is in memory until it is written. */
  async copy() {
    const missing = () => [...this.bounded()].findLast((photo) => !this.written.has(photo));
    if (this.copying || !missing()) {
      return;
    }
    this.copying = true;
    for (let photo = missing(); photo && this.database && !this.full; photo = missing()) {
      const file = await copied(photo.file).catch(() => null);
      if (!file) {
        this.unread.add(photo);
      } else if (this.database && this.bounded().has(photo)) {
        await this.write(new Map([[photo, file]]));
      }
    }
    this.copying = false;
    this.write();
  }

  /**
   * Bring what is kept to what is on the page.
   *
   * @param {Map<Photo, File>} files of photos that are kept from now on
   * @returns {Promise<void>} when it is done, or there is no room
   */
  write(files = new Map()) {
    clearTimeout(this.timer);
    this.timer = 0;
    if (!this.database) {
      return Promise.resolve();
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
    const ours = [...wanted].filter((photo) => this.written.has(photo) || files.has(photo));
    ours.forEach((photo) => this.full || this.put(store, photo, files.get(photo)));
    transaction.commit();
    const busy = this.copying && !this.full;
    const text = this.full ? NO_ROOM : busy ? '' : this.says(ours.length);
    const kept = !this.full && ours.length === this.album.photos.length;
    return new Promise((resolve) => {
      transaction.oncomplete = () => {
        this.album.kept = kept;
        this.album.dispatchEvent(new Event('kept'));
        this.tell(text, busy || Boolean(this.timer));
        this.post('removed', removed);
        this.post('kept', [...files.keys()]);
        resolve(this.adopt([...files.keys()]));
      };
      transaction.onabort = () => { // no room, as a rule; what is on the page stays there
        removed.forEach((photo) => this.written.set(photo, {})); // as it still is
        this.album.kept = false;
        this.tell(NO_ROOM);
        if (!this.full) {
          this.full = true;
          this.soon();
        }
        resolve();
      };
    });
  }

  put(store, photo, file) {
    const id = this.id(photo);
    const before = this.written.get(photo);
    const { options, saved, job, result } = photo;
    const chosen = JSON.stringify({ options, saved, job });
    if (file) {
      store.put(file, [id, 'file']);
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

  /** Have photos be what is kept of them, whatever becomes of the files on the disk. */
  async adopt(photos) {
    for (const photo of this.database ? photos : []) {
      const store = this.database.transaction(STORE).objectStore(STORE);
      const file = await ended(store.get([this.ids.get(photo), 'file'])).catch(() => null);
      if (file) {
        photo.replace(file);
      }
    }
  }

  says(count) {
    const { photos } = this.album;
    if (count === photos.length) {
      return `Kept ${KEPT}`;
    }
    const why = photos.some((photo) => this.elsewhere.has(photo)) ? 'removed in another tab'
      : photos.some((photo) => this.unread.has(photo)) ? 'the file could not be read'
        : 'too large, or too many';
    return count ? `${count} of ${photos.length} kept ${KEPT} The others: ${why}.`
      : `Not kept over a reload: ${why}.`;
  }

  /** Tell the other tabs. */
  post(what, photos) {
    if (photos.length && this.database) {
      this.tabs.postMessage({ what, ids: photos.map((photo) => this.ids.get(photo)) });
    }
  }

  /** Another tab has removed photos, or has taken that back. */
  hear({ what, ids }) {
    const meant = [...this.album.held, ...this.coming]
      .filter((photo) => ids.includes(this.ids.get(photo)));
    for (const photo of meant) {
      if (what === 'removed') {
        this.elsewhere.add(photo);
        this.written.delete(photo);
      } else {
        this.elsewhere.delete(photo);
        this.written.set(photo, {}); // all but its file is written anew
      }
    }
    if (meant.length) {
      this.album.kept = false;
      this.write();
    }
  }

  /** The latest photos, as many as may be kept. */
  bounded() {
    const wanted = new Set();
    let bytes = 0;
    const photos = this.album.photos
      .filter((photo) => !this.unread.has(photo) && !this.elsewhere.has(photo));
    for (const photo of photos.toReversed()) {
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
    this.tabs?.close();
    this.database = null;
    this.album.kept = false;
    this.tell(why);
  }
}
