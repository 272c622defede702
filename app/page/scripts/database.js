/** Where what is kept lies in the browser. */

export const STORE = 'photos'; // [id, 'file' | 'chosen' | 'result' | 'reference'] → value

/** @returns {Promise<IDBDatabase>} */
export function opened() {
  const request = indexedDB.open('chromaserve', 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE);
  return ended(request);
}

/** All that is kept: {id, file, chosen, result, reference} of each photo. */
export async function read(database) {
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
export const partsOf = (id) => IDBKeyRange.bound([id], [id, []]);

/** What a request comes to. */
export function ended(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error('blocked'));
  });
}
