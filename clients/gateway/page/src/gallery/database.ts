// The gallery's place in the browser: IndexedDB, which may be missing (private windows) or full.
import type { Entry } from './entry';

const STORE = 'pictures';

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('the browser could not store it'));
  });
}

async function store(mode: IDBTransactionMode): Promise<IDBObjectStore> {
  const opening = indexedDB.open('stepcast', 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: 'id' });
  const database = await settled(opening);
  const transaction = database.transaction(STORE, mode);
  transaction.oncomplete = transaction.onabort = () => database.close();
  return transaction.objectStore(STORE);
}

export async function readAll(): Promise<Entry[]> {
  return settled((await store('readonly')).getAll() as IDBRequest<Entry[]>);
}

export async function write(entry: Entry): Promise<void> {
  await settled((await store('readwrite')).put(entry));
}

export async function remove(ids: string[]): Promise<void> {
  const pictures = await store('readwrite');
  await Promise.all(ids.map((id) => settled(pictures.delete(id))));
}
