// An internal consumer of Crossdock's events, with all that one needs to get right.
//
//   NATS_URL=nats://127.0.0.1:4222 NATS_USER=billing NATS_PASSWORD=… \
//   CROSSDOCK_URL=http://127.0.0.1:8080 CROSSDOCK_KEY=… \
//   node consumer.mjs billing.jsonl
//
// Its effect is a journal, a line an event: the effect and the note that it is done are one write.

import * as fs from "node:fs";
import { connect } from "@nats-io/transport-node";
import { jetstream } from "@nats-io/jetstream";

const STREAM = "EVENTS";
const API_PREFIX = "CROSSDOCK.API";
const BATCH = 50;
const LOOK_MS = Number(process.env.LOOK_S ?? "60") * 1000;

class Journal {
  constructor(path) {
    this.done = new Set();
    this.newest = new Map(); // the highest `ce-sequence` of each source and type
    this.place = null; // the last event's place in the stream
    const written = fs.existsSync(path) ? fs.readFileSync(path) : Buffer.alloc(0);
    // A crash may have cut the last line short: then that event was not acknowledged either.
    const whole = written.subarray(0, written.lastIndexOf("\n") + 1);
    if (whole.length < written.length) fs.truncateSync(path, whole.length);
    for (const line of whole.toString().split("\n").slice(0, -1)) this.#learn(JSON.parse(line));
    this.file = fs.openSync(path, "a");
  }

  #learn(entry) {
    this.done.add(entry.id);
    const key = `${entry.source} ${entry.type}`;
    this.newest.set(key, Math.max(this.newest.get(key) ?? 0, entry.sequence));
    if (this.place === null || entry.place > this.place.place) this.place = entry;
  }

  // At least once means that an event may come again; its `ce-id` is the same each time.
  do(message, payload) {
    const id = message.headers.get("ce-id");
    if (this.done.has(id)) return "again";
    const entry = {
      id,
      source: message.headers.get("ce-source"),
      type: message.headers.get("ce-type"),
      sequence: Number(message.headers.get("ce-sequence")),
      place: message.info.streamSequence,
      payload: Buffer.from(payload).toString("base64"),
    };
    // Events come about in order, not exactly: an older one must not overwrite a newer one.
    const last = this.newest.get(`${entry.source} ${entry.type}`) ?? 0;
    entry.isLatest = entry.sequence > last;
    fs.writeSync(this.file, JSON.stringify(entry) + "\n");
    fs.fsyncSync(this.file);
    this.#learn(entry);
    return entry.isLatest ? "done" : "older";
  }

  close() {
    fs.closeSync(this.file);
  }
}

// A large or encrypted payload is not in the message: it is fetched from the REST API.
async function payloadOf(message) {
  const reference = message.headers.get("ce-dataref");
  if (!reference) return message.data;
  const answer = await fetch(process.env.CROSSDOCK_URL + reference, {
    headers: { authorization: `Bearer ${process.env.CROSSDOCK_KEY}` },
    signal: AbortSignal.timeout(30_000),
  });
  if (!answer.ok) throw new Error(`the payload was answered with ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

// The consumer beside ours shows the oldest event that is still kept. If that is not newer than the
// last one we did, nothing between them can be missing.
async function lookForAGap(oldest, journal) {
  const message = await oldest.next({ expires: 5_000 });
  const last = journal.place;
  if (message !== null && last !== null && message.info.streamSequence > last.place) {
    const tenant = last.source.split("/")[2];
    console.log(
      `gap: events after ${last.id} may be missing; to have them again:` +
        ` crossdock events republish --tenant ${tenant} --after ${last.id}`,
    );
  }
}

async function main(path) {
  const journal = new Journal(path);
  const name = process.env.NATS_USER;
  const connection = await connect({
    servers: process.env.NATS_URL,
    user: name,
    pass: process.env.NATS_PASSWORD,
    maxReconnectAttempts: -1,
  });
  let isStopping = false;
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => (isStopping = true));
  const client = jetstream(connection, { apiPrefix: API_PREFIX });
  const events = await client.consumers.get(STREAM, name);
  const oldest = await client.consumers.get(STREAM, `${name}-oldest`);
  let looked = -Infinity;
  while (!isStopping) {
    try {
      if (performance.now() - looked > LOOK_MS) {
        await lookForAGap(oldest, journal);
        looked = performance.now();
      }
      // Each fetch has an inbox of its own, and so the server forgets where its answers went.
      for await (const message of await events.fetch({ max_messages: BATCH, expires: 1_000 })) {
        const id = message.headers.get("ce-id");
        try {
          const said = journal.do(message, await payloadOf(message));
          message.ack(); // now, and not before, may the stream consider it done
          console.log(`${said} ${id}`);
        } catch (error) {
          message.nak(5_000);
          console.log(`later: ${error.message}`);
        }
      }
    } catch (error) {
      // The server is away for a moment, or reads its users again.
      console.log(`waiting: ${error.message}`);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  }
  journal.close();
  await connection.drain();
}

await main(process.argv[2]);
