/** So many at once, the rest in order. */

export class Lanes {
  /** @param {number} count how many run at once */
  constructor(count) {
    this.free = count;
    this.waiting = [];
  }

  /**
   * Run a job when there is a lane.
   *
   * @template T
   * @param {() => Promise<T>} job
   * @param {AbortSignal} [signal] a job that is aborted while it waits never runs
   * @returns {Promise<T>}
   */
  async run(job, signal) {
    if (this.free > 0) {
      this.free -= 1;
    } else {
      await new Promise((resolve) => this.waiting.push(resolve));
    }
    try {
      signal?.throwIfAborted();
      return await job();
    } finally {
      const next = this.waiting.shift();
      if (next) {
        next();
      } else {
        this.free += 1;
      }
    }
  }
}
