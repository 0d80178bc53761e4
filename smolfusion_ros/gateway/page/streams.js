/** Reads what comes in pieces over fetch, which unlike EventSource and <img> can bear a token. Pure. */

const MAX_PART_BYTES = 32 * 2 ** 20;
const END_OF_HEAD = [13, 10, 13, 10];

/**
 * Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).
 *
 * @param {ReadableStream<Uint8Array>} stream
 * @yields {{name: string, data: string}} a comment comes as the event "comment", since it tells that the line lives
 */
export async function* serverSentEvents(stream) {
  let name = "";
  let data = [];
  for await (const line of lines(stream)) {
    if (line === "") {
      if (data.length) yield { name: name || "message", data: data.join("\n") };
      name = "";
      data = [];
    } else if (line.startsWith(":")) {
      yield { name: "comment", data: "" };
    } else {
      const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
      if (field === "event") name = value;
      else if (field === "data") data.push(value);
    }
  }
}

async function* lines(stream) {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const piece of pieces(stream)) {
    rest += decoder.decode(piece, { stream: true });
    // A carriage return at the end may be the first half of a line's end.
    const found = rest.split(/\r\n|\n|\r(?!$)/);
    rest = found.pop();
    yield* found;
  }
}

/**
 * The parts of a multipart stream that tell their length, as motion JPEG does.
 *
 * @param {ReadableStream<Uint8Array>} stream
 * @yields {{blob: Blob, stamp: number}} stamp: of the header X-Timestamp, seconds
 */
export async function* multipart(stream) {
  let rest = new Uint8Array();
  let head = null;
  for await (const piece of pieces(stream)) {
    rest = joined(rest, piece);
    for (;;) {
      if (head === null) {
        const end = indexOf(rest, END_OF_HEAD);
        if (end < 0) break;
        head = headers(new TextDecoder("latin1").decode(rest.subarray(0, end)));
        rest = rest.subarray(end + END_OF_HEAD.length);
      }
      const length = Number(head["content-length"]);
      if (!(length > 0 && length <= MAX_PART_BYTES)) throw new RangeError(`a part of ${head["content-length"]} bytes`);
      if (rest.length < length) break;
      const blob = new Blob([rest.slice(0, length)], { type: head["content-type"] ?? "image/jpeg" });
      const stamp = Number(head["x-timestamp"]);
      [rest, head] = [rest.slice(length), null];
      yield { blob, stamp };
    }
    if (rest.length > MAX_PART_BYTES) throw new RangeError("a head without an end");
  }
}

/** A boundary line and the headers behind it. */
function headers(text) {
  const pairs = text.split("\r\n").map((line) => /^([\w-]+): *(.*)$/.exec(line));
  return Object.fromEntries(pairs.filter(Boolean).map(([, key, value]) => [key.toLowerCase(), value]));
}

function indexOf(bytes, wanted) {
  for (let at = bytes.indexOf(wanted[0]); at >= 0; at = bytes.indexOf(wanted[0], at + 1)) {
    if (wanted.every((each, offset) => bytes[at + offset] === each)) return at;
  }
  return -1;
}

function joined(first, second) {
  if (!first.length) return second;
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

/** As `for await (… of stream)`, which not every browser has; whoever breaks off ends the request. */
async function* pieces(stream) {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
