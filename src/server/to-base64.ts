/**
 * `Uint8Array.prototype.toBase64` (ECMAScript 2026, "Uint8Array to/from base64"), on Buffer, for a Node that does not have it
 * yet. The protobuf library writes the bytes of JSON messages with it, and is four times slower where it has to do without.
 * It looks once, when it is loaded: this module has to be imported before.
 */

interface Base64Options {
  readonly alphabet?: "base64" | "base64url";
  readonly omitPadding?: boolean;
}

if (!("toBase64" in Uint8Array.prototype)) {
  Object.defineProperty(Uint8Array.prototype, "toBase64", {
    configurable: true,
    writable: true,
    enumerable: false,
    value: toBase64,
  });
}

function toBase64(this: Uint8Array, options: Base64Options = {}): string {
  if (!(this instanceof Uint8Array)) throw new TypeError("toBase64 needs a Uint8Array");
  const { alphabet = "base64", omitPadding = false } = options;
  if (alphabet !== "base64" && alphabet !== "base64url") throw new TypeError("there is no such alphabet");
  const text = Buffer.from(this.buffer, this.byteOffset, this.byteLength).toString(alphabet);
  // Buffer pads the one alphabet and not the other.
  if (alphabet === "base64") return omitPadding ? text.replace(/=+$/, "") : text;
  return omitPadding ? text : text.padEnd(Math.ceil(text.length / 4) * 4, "=");
}
