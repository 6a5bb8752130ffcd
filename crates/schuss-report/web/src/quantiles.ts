/** Quantiles of what a histogram counted. */
import type { Histogram, Maybe } from "./schema";

/** The value below which the share `q` lies, rows taken as spread evenly over each bin; null of an empty histogram. */
export function quantile(histogram: Histogram, q: number): Maybe {
  const { low, high, counts } = histogram;
  const total = counts.reduce((sum, rows) => sum + rows, 0);
  if (!(total > 0) || !Number.isFinite(low) || !Number.isFinite(high)) return null;
  const width = (high - low) / counts.length;
  const wanted = q * total;
  let below = 0;
  for (const [bin, rows] of counts.entries()) {
    if (rows > 0 && below + rows >= wanted) return low + (bin + (wanted - below) / rows) * width;
    below += rows;
  }
  return high;
}
