// The AWS SDK for JavaScript as a client with a web identity, taken from the environment as any program would:
// AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_SESSION_NAME, AWS_ENDPOINT_URL, AWS_REGION.
//
//   node sdk.mjs BUCKET PREFIX [DENIED-PREFIX] [EXPECTED-ARN]
//
// Prints one JSON object a line: { check, ok, note }.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { AssumeRoleWithWebIdentityCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'
import { fromTokenFile, fromWebToken } from '@aws-sdk/credential-providers'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'

const [bucket, prefix, denied, arn] = process.argv.slice(2)
const role = process.env.AWS_ROLE_ARN
const webIdentityToken = readFileSync(process.env.AWS_WEB_IDENTITY_TOKEN_FILE, 'utf8')
const Key = `${prefix}by the SDK/ü+&`

// One try: what is refused must be refused at once, and what works must work at the first.
const options = { maxAttempts: 1 }
const s3With = (credentials, more) => new S3Client({ ...options, forcePathStyle: true, credentials, ...more })

async function check(name, run) {
  let line
  try {
    line = { check: name, ok: true, note: await run() }
  } catch (error) {
    line = { check: name, ok: false, note: `${error.stack}`.slice(0, 2000) }
  }
  console.log(JSON.stringify(line))
}

const refused = (name, status, promise) =>
  assert.rejects(promise, (error) => {
    assert.equal(error.name, name)
    assert.equal(error.$metadata?.httpStatusCode, status)
    return true
  })

const byFile = s3With(fromTokenFile())
const byToken = s3With(
  fromWebToken({ roleArn: role, webIdentityToken, roleSessionName: 'by-web-token', durationSeconds: 900 }),
)

await check('put, get, head, list with fromTokenFile', async () => {
  await byFile.send(new PutObjectCommand({ Bucket: bucket, Key, Body: 'by the SDK', ContentType: 'text/plain' }))
  const got = await byFile.send(new GetObjectCommand({ Bucket: bucket, Key }))
  assert.equal(await got.Body.transformToString(), 'by the SDK')
  assert.equal((await byFile.send(new HeadObjectCommand({ Bucket: bucket, Key }))).ContentLength, 10)
  const listed = await byFile.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: `${prefix}by the SDK/` }))
  assert.equal(listed.KeyCount, 1)
})

await check('get, copy, delete with fromWebToken', async () => {
  const got = await byToken.send(new GetObjectCommand({ Bucket: bucket, Key }))
  assert.equal(await got.Body.transformToString(), 'by the SDK')
  const copy = `${prefix}copied`
  const CopySource = `${bucket}/${Key.split('/').map(encodeURIComponent).join('/')}`
  await byToken.send(new CopyObjectCommand({ Bucket: bucket, Key: copy, CopySource }))
  await byToken.send(new DeleteObjectCommand({ Bucket: bucket, Key: copy }))
  await refused('NoSuchKey', 404, byToken.send(new GetObjectCommand({ Bucket: bucket, Key: copy })))
})

await check('presigned PUT and GET with session credentials', async () => {
  // Unless told otherwise it signs the checksum of an empty body into the URL, which a server that checks refuses.
  const plain = s3With(fromTokenFile(), { requestChecksumCalculation: 'WHEN_REQUIRED' })
  const put = await getSignedUrl(plain, new PutObjectCommand({ Bucket: bucket, Key: `${prefix}presigned` }))
  assert.ok(new URL(put).searchParams.get('X-Amz-Security-Token'))
  assert.equal((await fetch(put, { method: 'PUT', body: 'by its URL alone' })).status, 200)
  const get = await getSignedUrl(byFile, new GetObjectCommand({ Bucket: bucket, Key: `${prefix}presigned` }))
  assert.equal(await (await fetch(get)).text(), 'by its URL alone')
  const without = new URL(get)
  without.searchParams.delete('X-Amz-Security-Token')
  assert.ok([400, 403].includes((await fetch(without)).status))
})

await check('a token that is not one is refused in words that it parses', async () => {
  const sts = new STSClient({ ...options, credentials: { accessKeyId: 'unused', secretAccessKey: 'unused' } })
  const [head, payload] = webIdentityToken.split('.')
  const WebIdentityToken = `${head}.${payload}.AAAA`
  const command = new AssumeRoleWithWebIdentityCommand({ RoleArn: role, RoleSessionName: 'js', WebIdentityToken })
  if (arn) {
    await refused('InvalidIdentityTokenException', 400, sts.send(command))
  } else {
    // A server of other people's: its code may be another one.
    await assert.rejects(sts.send(command), (error) => [400, 403].includes(error.$metadata?.httpStatusCode))
  }
})

if (denied) {
  await check('other prefixes are AccessDenied', async () => {
    const other = { Bucket: bucket, Key: `${denied}x` }
    await refused('AccessDenied', 403, byFile.send(new GetObjectCommand(other)))
    await refused('AccessDenied', 403, byFile.send(new PutObjectCommand({ ...other, Body: 'x' })))
    await refused('AccessDenied', 403, byFile.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: denied })))
  })
}

if (arn) {
  await check('GetCallerIdentity', async () => {
    const sts = new STSClient({ ...options, credentials: fromTokenFile() })
    const found = await sts.send(new GetCallerIdentityCommand({}))
    assert.equal(found.Arn, arn)
    return found.Arn
  })
}
