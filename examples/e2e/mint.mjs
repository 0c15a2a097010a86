// JWTs as an attacker would have them: right but for one thing.
//
// Reads JSON from stdin: [{ claims, header, key }]; `header.alg` is what signs: none, HS256 (with the text of the file
// `key` as the secret) or an asymmetric one (with the private key in the file); `claims` may be a text, which need not
// be good JSON. Prints a JSON list of the tokens.

import { createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { base64url, CompactSign } from 'jose'

function mint({ claims, header, key }) {
  const payload = new TextEncoder().encode(typeof claims === 'string' ? claims : JSON.stringify(claims))
  if (header.alg === 'none') {
    return `${base64url.encode(JSON.stringify(header))}.${base64url.encode(payload)}.`
  }
  const material = header.alg.startsWith('HS') ? readFileSync(key) : createPrivateKey(readFileSync(key))
  const crit = Object.fromEntries((header.crit ?? []).map((name) => [name, true]))
  return new CompactSign(payload).setProtectedHeader(header).sign(material, { crit })
}

console.log(JSON.stringify(await Promise.all(JSON.parse(await text(process.stdin)).map(mint))))
