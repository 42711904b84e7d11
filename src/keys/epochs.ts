/** The epochs that a host has told, and the one that is coming in while they change. */
export interface Epochs {
  /** The first is what is sent by; what else there is, is heard as well. */
  readonly epochs: readonly string[];
  readonly coming?: string;
}

/**
 * The next step of a change of epochs: `[old]`, `[old, new]`, `[new, old]`, `[new]`. At each, the host itself is first, then it
 * tells, then others get the time to follow: whatever of that has happened, both ends hear by what the other sends by.
 * @param draw an epoch for a change that begins
 */
export function nextEpochs({ epochs, coming }: Epochs, draw: () => string): Epochs {
  if (coming === undefined) {
    const drawn = draw();
    return { epochs: [...epochs.slice(0, 1), drawn], coming: drawn };
  }
  return epochs[0] === coming ? { epochs: [coming] } : { epochs: [coming, ...epochs.slice(0, 1)], coming };
}
