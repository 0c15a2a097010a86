// A certified OpenID provider (panva's oidc-provider) on loopback: discovery, JWKS, client credentials, JWTs.
//
// Reads its settings as JSON from stdin: { port, keys: [{ kid, key, certificate? }], client: { id, secret },
// audience, ttl }. `key` and `certificate` are files; the first key signs, all are published (a certificate as x5c).
// Prints `ready ISSUER` once it answers, and `served PATH` for each request.

import { createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { Provider } from 'oidc-provider'

const settings = JSON.parse(await text(process.stdin))
const issuer = `http://127.0.0.1:${settings.port}`

const keys = settings.keys.map(({ kid, key, certificate }) => ({
  ...createPrivateKey(readFileSync(key)).export({ format: 'jwk' }),
  kid,
  use: 'sig',
  alg: 'RS256',
  ...(certificate && { x5c: [readFileSync(certificate, 'utf8').replace(/-----[^-]+-----|\s/g, '')] }),
}))

const provider = new Provider(issuer, {
  jwks: { keys },
  clients: [
    {
      client_id: settings.client.id,
      client_secret: settings.client.secret,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    },
  ],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => settings.audience,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => ({
        scope: 'api',
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: settings.ttl ?? 600,
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
  scopes: ['openid', 'api'],
  // Its own answer to a credential without an account: the client.
  extraTokenClaims: () => ({ sub: settings.client.id }),
})

provider.use(async (context, next) => {
  console.log(`served ${context.path}`)
  await next()
})

provider.listen(settings.port, '127.0.0.1', () => console.log(`ready ${issuer}`))
