/** Values that are given one at a time and taken one at a time, in order, until it is shut. */
export class Channel<T> {
  #values: T[] = [];
  #wake: (() => void) | undefined;
  #shut = false;

  push(value: T): void {
    this.#values.push(value);
    this.#wake?.();
  }

  shut(): void {
    this.#shut = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void> {
    for (;;) {
      const value = this.#values.shift();
      if (value !== undefined) yield value;
      else if (this.#shut) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
