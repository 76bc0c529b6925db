// A client that knows nothing but the address of an API: it is told where tokens come from, gets one that is bound to its
// key, and calls. Its argument is JSON with `gateway`, `resource`, `url` and `scope`; it prints what came of each step.
// The gateway is reached as behind a proxy that ends TLS.
import { request } from 'node:http';
import * as oauth from 'oauth4webapi';

const { gateway, resource, url, scope } = JSON.parse(process.argv[2]);
const steps = [];

function viaProxy(target, { method = 'GET', headers, body } = {}) {
  const { host, pathname, search } = new URL(target);
  const fields = { ...Object.fromEntries(new Headers(headers)), host, 'x-forwarded-proto': 'https' };
  const [hostname, port] = gateway.split(':');
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, method, path: pathname + search, headers: fields }, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('end', () => {
        const received = new Headers();
        for (let at = 0; at < answer.rawHeaders.length; at += 2) {
          received.append(answer.rawHeaders[at], answer.rawHeaders[at + 1]);
        }
        resolve(new Response(Buffer.concat(parts), { status: answer.statusCode, headers: received }));
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const own = { [oauth.customFetch]: viaProxy };
const plain = { [oauth.allowInsecureRequests]: true };

const refused = await viaProxy(url);
const challenge = refused.headers.get('www-authenticate');
const told = /resource_metadata="([^"]+)"/.exec(challenge)[1];
steps.push({ step: 'refused', status: refused.status, challenge, told });

const identifier = new URL(resource);
const metadata = await oauth.processResourceDiscoveryResponse(
  identifier,
  await oauth.resourceDiscoveryRequest(identifier, own),
);
steps.push({ step: 'metadata', metadata });

const issuer = new URL(metadata.authorization_servers[0]);
const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, plain));
const client = { client_id: 'job' };
const keys = await oauth.generateKeyPair('ES256');
const proofs = oauth.DPoP(client, keys);
const grant = await oauth.processClientCredentialsResponse(
  server,
  client,
  await oauth.clientCredentialsGrantRequest(
    server,
    client,
    oauth.ClientSecretBasic('the secret of a job'),
    { scope, resource },
    { ...plain, DPoP: proofs },
  ),
);
steps.push({ step: 'token', type: grant.token_type });

async function call(DPoP) {
  try {
    const answer = await oauth.protectedResourceRequest(
      grant.access_token, 'GET', new URL(url), undefined, undefined, { ...own, DPoP },
    );
    return { status: answer.status };
  } catch (error) {
    if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error;
    return { status: error.status, errors: error.cause.map(({ scheme, parameters }) => [scheme, parameters.error]) };
  }
}

// The first says that a nonce is needed, where one is; the client keeps it.
steps.push({ step: 'first call', ...(await call(proofs)) });
steps.push({ step: 'second call', ...(await call(proofs)) });
steps.push({ step: 'third call', ...(await call(proofs)) });
const thief = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));
await call(thief);
steps.push({ step: 'with the key of a thief', ...(await call(thief)) });
const bearer = await viaProxy(url, { headers: { authorization: `Bearer ${grant.access_token}` } });
steps.push({ step: 'as a bearer token', status: bearer.status });
console.log(JSON.stringify(steps));
