// Reads signed requests, has each checked by its vendor's own library, and prints them with the outcome.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(join(process.cwd(), 'package.json'));
const { LinearWebhookClient } = await import(require.resolve('@linear/sdk/webhooks'));
const { Paddle } = await import(require.resolve('@paddle/paddle-node-sdk'));
await import(require.resolve('@shopify/shopify-api/adapters/node'));
const { shopifyApi, ApiVersion } = await import(require.resolve('@shopify/shopify-api'));

const version = (name) =>
  `${name} ${JSON.parse(readFileSync(join('node_modules', name, 'package.json'))).version}`;

const quietly = async (check) => {
  try {
    return Boolean(await check());
  } catch {
    return false;
  }
};

const checks = {
  linear: {
    library: version('@linear/sdk'),
    check: (one, body) =>
      new LinearWebhookClient(one.secret).verify(
        Buffer.from(body),
        one.headers['linear-signature'],
        JSON.parse(one.body).webhookTimestamp,
      ),
  },
  paddle: {
    library: version('@paddle/paddle-node-sdk'),
    check: (one, body) =>
      new Paddle('none').webhooks.isSignatureValid(
        body,
        one.secret,
        one.headers['paddle-signature'],
      ),
  },
  shopify: {
    library: version('@shopify/shopify-api'),
    check: async (one, body) => {
      const shopify = shopifyApi({
        apiKey: 'none',
        apiSecretKey: one.secret,
        apiVersion: Object.values(ApiVersion)[0],
        hostName: 'hooks.example',
        isEmbeddedApp: false,
        logger: { log: () => {} },
        scopes: [],
      });
      const headers = {
        'x-shopify-api-version': '2026-07',
        ...one.headers,
      };
      const rawRequest = { headers, method: 'POST', url: '/in/recorded' };
      const found = await shopify.webhooks.validate({ rawBody: body, rawRequest });
      return found.valid;
    },
  },
};

const flipped = (body) => {
  const bytes = Buffer.from(body);
  bytes[bytes.length >> 1] ^= 1;
  return bytes.toString();
};

// Some ask `Date.now`, some make a `Date`.
const Clock = Date;
const setClock = (seconds) => {
  globalThis.Date = class extends Clock {
    constructor(...parts) {
      super(...(parts.length ? parts : [seconds * 1000]));
    }

    static now() {
      return seconds * 1000;
    }
  };
};

const recorded = [];
for (const one of JSON.parse(readFileSync(0))) {
  setClock(one.at);
  const { library, check } = checks[one.preset];
  recorded.push({
    ...one,
    library,
    accepted: await quietly(() => check(one, one.body)),
    accepted_flipped: await quietly(() => check(one, flipped(one.body))),
  });
}
process.stdout.write(`${JSON.stringify(recorded, null, 2)}\n`);
