/** Photos come in: dropped (folders too), pasted, chosen, or a sample. */

const $ = (id) => document.getElementById(id);

/** @param {(files: File[]) => void} take */
export function intake(take) {
  const given = (files) => files.length && take(files);

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
    given(await dropped(event.dataTransfer));
  });

  addEventListener('paste', (event) => {
    const files = [...event.clipboardData?.files ?? []];
    if (files.length) {
      event.preventDefault();
      given(files);
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
      const response = await fetch(new URL(`../samples/${sample}`, import.meta.url));
      if (response.ok) {
        given([new File([await response.blob()], sample, { type: 'image/jpeg' })]);
      }
    });
  });
}

async function dropped(transfer) {
  // Both must be read before the first await: afterwards they are empty.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const files = [...transfer.files];
  if (!entries.some((entry) => entry.isDirectory)) {
    return files;
  }
  return (await Promise.all(entries.map(walk))).flat();
}

async function walk(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => { entry.file(resolve, reject); });
    return file.name.startsWith('.') ? [] : [file];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
    if (!some.length) {
      return (await Promise.all(found.map(walk))).flat();
    }
    found.push(...some);
  }
}
