// A real OpenID provider for tests. Prints its issuer and keys, reads the gateway's origin as a line, prints `ready`, and
// then each grant that it makes. Users log in at its built-in pages, with any name and password.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import Provider from 'oidc-provider';

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const key = { ...privateKey.export({ format: 'jwk' }), kid: 'one', use: 'sig', alg: 'ES256' };
const { d, ...published } = key;

// Until it serves, it says that it does not.
const early = (_, answer) => answer.writeHead(503).end();
const server = createServer(early);
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;
console.log(JSON.stringify({ issuer, jwks: { keys: [published] } }));

const origin = await new Promise((told) => createInterface({ input: process.stdin }).once('line', told));
const provider = new Provider(issuer, {
  clients: [{
    client_id: 'shop',
    client_secret: 'a secret & more',
    redirect_uris: [`${origin}/oauth2/callback`],
    post_logout_redirect_uris: [`${origin}/goodbye`],
    grant_types: ['authorization_code', 'refresh_token'],
    id_token_signed_response_alg: 'ES256',
  }, {
    client_id: 'job',
    client_secret: 'the secret of a job',
    grant_types: ['client_credentials'],
    id_token_signed_response_alg: 'ES256',
    redirect_uris: [],
    response_types: [],
  }, {
    client_id: 'gate',
    client_secret: 'the secret of the gate',
    grant_types: [],
    id_token_signed_response_alg: 'ES256',
    redirect_uris: [],
    response_types: [],
  }],
  jwks: { keys: [key] },
  cookies: { keys: ['of the provider itself'] },
  claims: { openid: ['sub'], profile: ['groups'] },
  conformIdTokenClaims: false,
  findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId, groups: ['staff'] }) }),
  issueRefreshToken: () => true,
  rotateRefreshToken: true,
  ttl: { AccessToken: (_, token) => token.resourceServer?.accessTokenTTL ?? 1, ClientCredentials: 600, IdToken: 600, Grant: 600, Session: 600, Interaction: 600, RefreshToken: 600 },
  features: {
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true },
    // Tokens for a resource whose path is /jwt are signed, others opaque.
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        audience: 'shop',
        scope: 'orders items',
        accessTokenTTL: 600,
        accessTokenFormat: resource.endsWith('/jwt') ? 'jwt' : 'opaque',
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
});
provider.on('grant.success', (context) => console.log(context.oidc.params.grant_type));
provider.on('server_error', (_, error) => console.error(error));
server.off('request', early);
server.on('request', provider.callback());
console.log('ready');
