/** Pictures this small show their pixels: blurring them up would be another picture. */
export const isTiny = ({ width, height }: { width: number; height: number }): boolean => Math.max(width, height) <= 128;
