/** Pixels on canvases: pictures of the data, and weights in diverging colours. */
import { colour, drawn } from "./drawings";
import { el } from "./elements";
import type { Picture } from "./schema";

/** Bytes of a base64 text; none where it is not one. */
function bytesOf(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}

type Paint = (rgba: Uint8ClampedArray) => void;

function canvas(height: number, width: number, label: string): HTMLCanvasElement {
  return el("canvas", { class: "pixels", width, height, role: "img", "aria-label": label, "--ratio": width / height });
}

function fill(element: HTMLCanvasElement, paint: Paint): HTMLCanvasElement {
  const context = element.getContext("2d");
  const pixels = context?.createImageData(element.width, element.height);
  if (context && pixels) {
    paint(pixels.data);
    context.putImageData(pixels, 0, 0);
  }
  return element;
}

function fits(bytes: Uint8Array, height: number, width: number, channels: number): boolean {
  return height > 0 && width > 0 && bytes.length === height * width * channels;
}

function paintColours(bytes: Uint8Array, channels: number, rgba: Uint8ClampedArray): void {
  for (let pixel = 0; pixel * 4 < rgba.length; pixel += 1) {
    for (let channel = 0; channel < 3; channel += 1) rgba[pixel * 4 + channel] = bytes[pixel * channels + (channels === 3 ? channel : 0)]!;
    rgba[pixel * 4 + 3] = 255;
  }
}

/** A picture of the data; null where the bytes are not as many as its size asks for. */
export function picture({ height, width, channels, pixels }: Picture, label: string): HTMLCanvasElement | null {
  const bytes = bytesOf(pixels);
  if (!fits(bytes, height, width, channels)) return null;
  return fill(canvas(height, width, label), (rgba) => paintColours(bytes, channels, rgba));
}

function parts(name: string): number[] {
  const hex = colour(name).replace("#", "");
  return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

/** Weights, 128 is 0: from the negative colour over the neutral one to the positive one, as the colour scheme has them. */
function paintWeights(bytes: Uint8Array, rgba: Uint8ClampedArray): void {
  const [negative, neutral, positive] = [parts("--negative"), parts("--neutral"), parts("--positive")];
  bytes.forEach((byte, pixel) => {
    const weight = Math.max(-1, (byte - 128) / 127);
    const end = weight < 0 ? negative : positive;
    for (let channel = 0; channel < 3; channel += 1) {
      rgba[pixel * 4 + channel] = neutral[channel]! + (end[channel]! - neutral[channel]!) * Math.abs(weight);
    }
    rgba[pixel * 4 + 3] = 255;
  });
}

/** Weights as a picture; of three channels, in colours about grey. */
export function weights({ height, width, channels, pixels }: Picture, label: string): HTMLCanvasElement | null {
  const bytes = bytesOf(pixels);
  if (!fits(bytes, height, width, channels)) return null;
  const element = canvas(height, width, label);
  if (channels === 3) return fill(element, (rgba) => paintColours(bytes, 3, rgba));
  drawn(element, () => fill(element, (rgba) => paintWeights(bytes, rgba)));
  return element;
}
