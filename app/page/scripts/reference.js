/** Another photo, in colour, whose colours the photo that is looked at is to have. */

import { say } from './announce.js';
import { copied } from './files.js';
import { prepare, thumbnail } from './preview.js';
import { inWords } from './problem.js';

const $ = (id) => document.getElementById(id);

/** @typedef {{id: string, name: string}} Reference as options have it, whose picture is here */

/** @type {Map<string, Blob>} pictures by id, small enough to be sent each time */
const pictures = new Map();
const shown = new Map(); // addresses of thumbnails, by id
/** @type {Map<string, Promise<void>>} by id: many photos may have one picture */
const remembered = new Map();

export const pictureOf = (reference) => pictures.get(reference.id);

/** Have a picture by its id, which was chosen now or kept over a reload. */
export function remember(id, blob) {
  pictures.set(id, pictures.get(id) ?? blob);
  remembered.set(id, remembered.get(id) ?? show(id, blob));
  return remembered.get(id);
}

async function show(id, blob) {
  const small = await thumbnail(blob).catch(() => null); // there are files that browsers don't read
  shown.set(id, small ? URL.createObjectURL(small) : '');
}

export class ReferencePicker {
  /**
   * @param {import('./album.js').Album} album
   * @param {(reference: Reference|null) => void} choose
   */
  constructor(album, choose) {
    this.album = album;
    this.choose = choose;
    const chooser = $('reference-chooser');
    $('refer').addEventListener('click', () => chooser.click());
    chooser.addEventListener('change', async () => {
      const [file] = chooser.files;
      chooser.value = ''; // the same file may be chosen again
      if (file) {
        await this.take(file);
      }
    });
    $('unrefer').addEventListener('click', () => {
      $('refer').focus(); // this button goes
      this.choose(null);
      say('Without the other photo.');
    });
    album.addEventListener('selected', () => this.refresh());
    album.addEventListener('photo', ({ detail }) => detail === album.selected && this.refresh());
  }

  async take(file) {
    const photo = this.album.selected;
    let blob;
    try {
      ({ blob } = await prepare(await copied(file)));
    } catch (error) {
      const { detail } = inWords(error);
      $('reference-says').textContent = detail;
      say(detail);
      return;
    }
    const id = `${Date.now()}-${Math.random()}`;
    await remember(id, blob);
    if (photo === this.album.selected) {
      this.choose({ id, name: file.name });
      say(`With colours like ${file.name}.`);
    }
  }

  refresh() {
    const reference = this.album.selected?.options.reference;
    const url = reference ? shown.get(reference.id) : '';
    $('reference-image').hidden = !url;
    if (url) {
      $('reference-image').src = url;
    }
    $('unrefer').hidden = !reference;
    $('refer').textContent = reference ? 'Choose another' : 'Choose it';
    $('reference-says').textContent = reference
      ? `What looks like ${reference.name} gets its colours.`
      : 'A photo of the same in colour? What looks like it gets its colours.';
  }
}
