/** DER after X.690, as little of it as a phone needs. Written apart from the server's, so that neither hides the other's faults. */
export interface DerNode {
  readonly tag: number;
  /** Header and body. */
  readonly raw: Buffer;
  readonly body: Buffer;
}

/** Reads the element at `offset`. Throws RangeError for lengths that do not fit and for indefinite ones. */
export function readDer(bytes: Buffer, offset = 0): DerNode {
  const tag = bytes.readUInt8(offset);
  let length = bytes.readUInt8(offset + 1);
  let start = offset + 2;
  if (length >= 0x80) {
    const size = length & 0x7f;
    if (size === 0 || size > 4) throw new RangeError('unsupported DER length');
    length = bytes.readUIntBE(start, size);
    start += size;
  }
  if (start + length > bytes.length) throw new RangeError('DER element exceeds its container');
  return { tag, raw: bytes.subarray(offset, start + length), body: bytes.subarray(start, start + length) };
}

/** The elements inside a constructed one. */
export function children(node: DerNode): DerNode[] {
  const found: DerNode[] = [];
  for (let offset = 0; offset < node.body.length; ) {
    const child = readDer(node.body, offset);
    found.push(child);
    offset += child.raw.length;
  }
  return found;
}

export function tlv(tag: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const size = body.length < 0x100 ? 1 : body.length < 0x10000 ? 2 : 3;
  const head = Buffer.alloc(2 + size);
  head.writeUInt8(tag, 0);
  head.writeUInt8(0x80 | size, 1);
  head.writeUIntBE(body.length, 2, size);
  return Buffer.concat([head, body]);
}

export const seq = (...parts: Uint8Array[]) => tlv(0x30, ...parts);
/** SET OF: DER wants the members sorted by their encoding (X.690 section 11.6). */
export const setOf = (...parts: Uint8Array[]) => tlv(0x31, ...[...parts].sort(Buffer.compare));
export const octets = (bytes: Uint8Array) => tlv(0x04, bytes);
export const bits = (bytes: Uint8Array) => tlv(0x03, Buffer.of(0), bytes);
export const utf8 = (value: string) => tlv(0x0c, Buffer.from(value, 'utf8'));
export const printable = (value: string) => tlv(0x13, Buffer.from(value, 'latin1'));
export const nil = () => tlv(0x05);
/** Context tag, constructed. */
export const context = (n: number, ...parts: Uint8Array[]) => tlv(0xa0 | n, ...parts);

/** INTEGER from big-endian magnitude or a small number. */
export function int(value: number | Uint8Array): Buffer {
  let bytes = typeof value === 'number' ? Buffer.of(value) : Buffer.from(value);
  while (bytes.length > 1 && bytes[0] === 0) bytes = bytes.subarray(1);
  return tlv(0x02, bytes[0]! & 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes);
}

export function oid(dotted: string): Buffer {
  const [first, second, ...rest] = dotted.split('.').map(Number);
  const out = [first! * 40 + second!];
  for (const arc of rest) {
    const septets = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      septets.unshift((left & 0x7f) | 0x80);
    out.push(...septets);
  }
  return tlv(0x06, Buffer.from(out));
}

export function readOid(node: DerNode): string {
  const arcs: number[] = [Math.floor(node.body[0]! / 40), node.body[0]! % 40];
  let arc = 0;
  for (const byte of node.body.subarray(1)) {
    arc = arc * 128 + (byte & 0x7f);
    if (byte < 0x80) {
      arcs.push(arc);
      arc = 0;
    }
  }
  return arcs.join('.');
}

/** UTCTime, seconds, Zulu. */
export function utcTime(at: Date): Buffer {
  const iso = at.toISOString();
  return tlv(0x17, Buffer.from(`${iso.slice(2, 19).replace(/[-T:]/g, '')}Z`));
}
