// An archive of files that are compressed already: each is stored as it is.

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** @param {Uint8Array} data */
function crc32(data) {
  let c = 0xffffffff;
  for (const b of data) c = table[(c ^ b) & 255] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

/**
 * @param {{ name: string, data: Blob }[]} files their names must differ
 * @returns {Promise<Blob>}
 */
export async function zip(files) {
  const now = new Date();
  const time = now.getHours() << 11 | now.getMinutes() << 5 | now.getSeconds() >> 1;
  const date = Math.max(0, now.getFullYear() - 1980) << 9 | (now.getMonth() + 1) << 5 | now.getDate();
  /** @type {BlobPart[]} */
  const parts = [];
  /** @type {Uint8Array[]} */
  const directory = [];
  let at = 0;
  for (const { name, data } of files) {
    const bytes = new TextEncoder().encode(name);
    const crc = crc32(new Uint8Array(await data.arrayBuffer()));
    /** @param {boolean} central */
    const head = central => {
      const h = new DataView(new ArrayBuffer(central ? 46 : 30));
      let i = 0;
      /** @param {number} v */
      const u32 = v => { h.setUint32(i, v, true); i += 4; };
      /** @param {number} v */
      const u16 = v => { h.setUint16(i, v, true); i += 2; };
      u32(central ? 0x02014b50 : 0x04034b50);
      if (central) u16(20);
      u16(20); u16(0x800); u16(0); // version; names are UTF-8; stored
      u16(time); u16(date);
      u32(crc); u32(data.size); u32(data.size);
      u16(bytes.length); u16(0);
      if (central) { u16(0); u16(0); u16(0); u32(0); u32(at); }
      const out = new Uint8Array(h.byteLength + bytes.length);
      out.set(new Uint8Array(h.buffer));
      out.set(bytes, h.byteLength);
      return out;
    };
    const local = head(false);
    directory.push(head(true));
    parts.push(local, data);
    at += local.length + data.size;
  }
  const size = directory.reduce((n, d) => n + d.length, 0);
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, files.length, true);
  end.setUint16(10, files.length, true);
  end.setUint32(12, size, true);
  end.setUint32(16, at, true);
  return new Blob([...parts, ...directory, end.buffer], { type: 'application/zip' });
}
