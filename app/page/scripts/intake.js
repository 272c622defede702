/** Photos come in: dropped (folders too), pasted, chosen, or a sample. What does not is said. */

const $ = (id) => document.getElementById(id);
const SAVE_IT = 'A picture of another page has to be saved first; then choose its file.';

/** @param {(files: File[]) => void} take */
export function intake(take) {
  const given = (files, untaken = '') => {
    $('untaken').textContent = untaken;
    $('untaken').hidden = !untaken;
    if (files.length) {
      take(files);
    }
  };

  let depth = 0; // enter and leave come for every element on the way
  const hover = (on) => { $('dropping').hidden = !on; };
  addEventListener('dragenter', (event) => {
    if (event.dataTransfer?.types.includes('Files')) {
      depth += 1;
      hover(true);
    }
  });
  addEventListener('dragleave', () => {
    depth = Math.max(depth - 1, 0);
    hover(depth > 0);
  });
  addEventListener('dragover', (event) => event.preventDefault());
  addEventListener('drop', async (event) => {
    event.preventDefault();
    depth = 0;
    hover(false);
    const lost = [];
    const files = await dropped(event.dataTransfer, lost);
    const others = lost.length > 1 ? ` and ${lost.length - 1} more` : '';
    const none = files.length ? '' : `There was no photo in what you dropped. ${SAVE_IT}`;
    given(files, lost.length ? `${lost[0]}${others} could not be read.` : none);
  });

  addEventListener('paste', (event) => {
    const files = [...event.clipboardData?.files ?? []];
    if (files.length) {
      event.preventDefault();
      given(files);
    } else if (!event.target.closest?.('input')) {
      given([], `There was no photo in what you pasted. ${SAVE_IT}`);
    }
  });

  const chooser = $('chooser');
  document.querySelectorAll('[data-action=choose]').forEach((button) => {
    button.addEventListener('click', () => chooser.click());
  });
  chooser.addEventListener('change', () => {
    given([...chooser.files]);
    chooser.value = ''; // the same file may be chosen again
  });

  document.querySelectorAll('[data-sample]').forEach((button) => {
    button.addEventListener('click', async () => {
      const { sample } = button.dataset;
      try {
        const response = await fetch(new URL(`../samples/${sample}`, import.meta.url));
        if (!response.ok) {
          throw new Error(response.statusText);
        }
        given([new File([await response.blob()], sample, { type: 'image/jpeg' })]);
      } catch {
        given([], 'The sample did not come. Check the connection, or choose a photo of your own.');
      }
    });
  });
}

/** Files that were dropped; names of what could not be read are added to `lost`. */
async function dropped(transfer, lost) {
  // Both must be read before the first await: afterwards they are empty.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const files = [...transfer.files];
  if (!entries.some((entry) => entry.isDirectory)) {
    return files;
  }
  const walked = (entry) => walk(entry, walked).catch(() => {
    lost.push(entry.name);
    return [];
  });
  return (await Promise.all(entries.map(walked))).flat();
}

async function walk(entry, walked) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => { entry.file(resolve, reject); });
    return file.name.startsWith('.') ? [] : [file];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
    if (!some.length) {
      return (await Promise.all(found.map(walked))).flat();
    }
    found.push(...some);
  }
}
