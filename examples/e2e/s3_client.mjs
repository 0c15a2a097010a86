// The AWS SDK for JavaScript on a string: reads one JSON object a line, does what it says, and answers with one. What
// is said is what rust-clients/src/main.rs is told.

import { createReadStream, createWriteStream, statSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { pipeline } from 'node:stream/promises'
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
  paginateListObjectsV2,
} from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'

const PART = 5 << 20

function connect({ endpoint, region, access_key, secret_key, token, checksums }) {
  const when = checksums ? 'WHEN_SUPPORTED' : 'WHEN_REQUIRED'
  return new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId: access_key, secretAccessKey: secret_key, sessionToken: token ?? undefined },
    requestChecksumCalculation: when,
    responseChecksumValidation: when,
    maxAttempts: 1,
    // It would warn of every URL for PUT that there is no body yet.
    logger: { trace() {}, debug() {}, info() {}, warn() {}, error() {} },
  })
}

const answers = {
  put: (s3, { bucket, key, body }) => s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body })),
  get: async (s3, { bucket, key }) =>
    (await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }))).Body.transformToString(),
  head: async (s3, { bucket, key }) =>
    (await s3.send(new HeadObjectCommand({ Bucket: bucket, Key: key }))).ContentLength,
  delete: (s3, { bucket, key }) => s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: key })),
  copy: (s3, { bucket, from, to }) => {
    const CopySource = `${bucket}/${from.split('/').map(encodeURIComponent).join('/')}`
    return s3.send(new CopyObjectCommand({ Bucket: bucket, Key: to, CopySource }))
  },
  list: async (client, { bucket, prefix, delimited }) => {
    const found = { keys: [], prefixes: [] }
    const asked = { Bucket: bucket, Prefix: prefix, Delimiter: delimited ? '/' : undefined }
    for await (const page of paginateListObjectsV2({ client }, asked)) {
      found.keys.push(...(page.Contents ?? []).map((object) => object.Key))
      found.prefixes.push(...(page.CommonPrefixes ?? []).map((prefix) => prefix.Prefix))
    }
    return found
  },
  stream: (s3, { bucket, key, path }) =>
    s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: createReadStream(path), ContentLength: statSync(path).size })),
  upload: (client, { bucket, key, path }) =>
    new Upload({ client, partSize: PART, params: { Bucket: bucket, Key: key, Body: createReadStream(path) } }).done(),
  download: async (s3, { bucket, key, path }) => {
    const got = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }))
    await pipeline(got.Body, createWriteStream(path))
  },
  presign: (s3, { bucket, key, method }) => {
    const Command = method === 'GET' ? GetObjectCommand : PutObjectCommand
    return getSignedUrl(s3, new Command({ Bucket: bucket, Key: key }), { expiresIn: 600 })
  },
}

let s3
for await (const line of createInterface({ input: process.stdin })) {
  const said = JSON.parse(line)
  if (!s3) {
    s3 = connect(said)
    continue
  }
  let answer
  try {
    const value = await answers[said.op](s3, said)
    answer = { value: ['get', 'head', 'list', 'presign'].includes(said.op) ? value : null }
  } catch (error) {
    answer = { error: `${error.name}: ${error.stack}` }
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
