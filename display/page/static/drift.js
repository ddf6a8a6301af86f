// Against burn-in: where everything stands now, a little beside where it stood a
// minute ago.

/**
 * The place within a little field, -1 to 1 each way. Two periods without a common
 * factor wander over the whole of it.
 * @param {number} now ms since 1970
 */
export function drift(now) {
  const minutes = Math.floor(now / 60000);
  return { x: Math.sin(2 * Math.PI * minutes / 31), y: Math.sin(2 * Math.PI * minutes / 23) };
}
