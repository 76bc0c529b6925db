// A real issuer for the gateway as its client: tokens for itself, proved by a secret or by a key, and tokens for callers' by
// a grant of RFC 8693. Its tokens are JWTs. Reads the gateway's public key as a line, prints its issuer, and then each grant.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { createLocalJWKSet, jwtVerify } from 'jose';
import Provider, { errors } from 'oidc-provider';

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const SHOP = 'https://shop.example';
const INVENTORY = 'https://inventory.example';

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const key = { ...privateKey.export({ format: 'jwk' }), kid: 'one', use: 'sig', alg: 'ES256' };
const { d, ...published } = key;
const keys = createLocalJWKSet({ keys: [published] });

const pem = await new Promise((told) => createInterface({ input: process.stdin }).once('line', told));
const server = createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const own = {
  redirect_uris: [],
  response_types: [],
  grant_types: ['client_credentials', EXCHANGE],
  scope: 'read write',
  id_token_signed_response_alg: 'ES256',
};
const provider = new Provider(issuer, {
  clients: [
    { ...own, client_id: 'gateway', client_secret: 'a secret & more' },
    {
      ...own,
      client_id: 'gateway-with-a-key',
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
      jwks: { keys: [{ ...JSON.parse(pem), kid: 'ours', use: 'sig', alg: 'ES256' }] },
    },
    {
      ...own,
      client_id: 'gateway-with-a-shared-key',
      client_secret: 'a secret of at least 32 characters',
      token_endpoint_auth_method: 'client_secret_jwt',
      token_endpoint_auth_signing_alg: 'HS256',
    },
    { ...own, client_id: 'ann', client_secret: 'of ann', grant_types: ['client_credentials'] },
  ],
  scopes: ['read', 'write'],
  extraTokenClaims: (_, token) => token.extra,
  ttl: { ClientCredentials: 600 },
  jwks: { keys: [key] },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        audience: resource, scope: 'read write', accessTokenFormat: 'jwt', accessTokenTTL: 600, jwt: { sign: { alg: 'ES256' } },
      }),
      defaultResource: () => undefined,
    },
  },
});

provider.registerGrantType(EXCHANGE, async (ctx) => {
  const { client, params } = ctx.oidc;
  let subject;
  try {
    ({ payload: subject } = await jwtVerify(params.subject_token, keys, { issuer, audience: SHOP }));
  } catch {
    throw new errors.InvalidRequest('the subject token is not good');
  }
  if (params.resource !== INVENTORY) throw new errors.InvalidTarget('no such service');
  const token = new provider.ClientCredentials({ client, scope: params.scope, extra: { for: subject.sub } });
  token.resourceServer = new provider.ResourceServer(INVENTORY, {
    audience: INVENTORY, scope: 'read write', accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } },
  });
  ctx.body = {
    access_token: await token.save(),
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: 'Bearer',
    expires_in: token.expiration,
  };
}, ['subject_token', 'subject_token_type', 'requested_token_type', 'audience', 'resource', 'scope']);

provider.on('grant.success', (ctx) => console.log(`${ctx.oidc.params.grant_type} ${ctx.oidc.client.clientId}`));
provider.on('grant.error', (_, error) => console.log(`${error.error} ${error.error_description} ${error.error_detail ?? ''}`));
provider.on('server_error', (_, error) => console.error(error));
server.on('request', provider.callback());
console.log(issuer);
