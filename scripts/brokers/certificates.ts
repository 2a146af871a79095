import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { needTools, run } from './host-tools.ts'

/** Files in PEM. The server's name is `localhost` and 127.0.0.1; the client's common name is its user. */
export interface Certificates {
  readonly authority: string
  readonly server: string
  readonly serverKey: string
  /** Key and certificate in one file, as Kafka takes them in place of a Java key store. */
  readonly serverChain: string
  readonly client: string
  readonly clientKey: string
}

/** The certificates of a folder. */
export const certificatesIn = (folder: string): Certificates => {
  const file = (name: string) => join(folder, name)
  return {
    authority: file('authority.pem'),
    server: file('server.pem'),
    serverKey: file('server.key'),
    serverChain: file('server-chain.pem'),
    client: file('client.pem'),
    clientKey: file('client.key'),
  }
}

/** Makes an authority of its own, a server and a client certificate in a folder, unless they are there. Tests only: keys are unprotected. */
export const makeCertificates = async (folder: string, user: string, orSet: string): Promise<Certificates> => {
  const files = certificatesIn(folder)
  if (existsSync(files.client)) return files
  await needTools([{ file: 'openssl', probe: ['version'], debian: 'openssl' }], orSet)
  mkdirSync(folder, { recursive: true })
  const authorityKey = join(folder, 'authority.key')
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc']
  await run('openssl', [
    ...['req', '-x509', ...key, '-days', '3650', '-subj', '/CN=Posthorn test authority'],
    ...['-keyout', authorityKey, '-out', files.authority],
  ])
  const issue = async (name: string, subject: string, usage: string, keyOut: string, out: string) => {
    const request = join(folder, `${name}.csr`)
    const extensions = join(folder, `${name}.ext`)
    writeFileSync(extensions, `subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=${usage}\n`)
    await run('openssl', ['req', ...key, '-subj', `/CN=${subject}`, '-keyout', keyOut, '-out', request])
    await run('openssl', [
      ...['x509', '-req', '-in', request, '-days', '3650', '-CA', files.authority, '-CAkey', authorityKey],
      ...['-CAcreateserial', '-extfile', extensions, '-out', out],
    ])
  }
  await issue('server', 'localhost', 'serverAuth', files.serverKey, files.server)
  await issue('client', user, 'clientAuth', files.clientKey, files.client)
  writeFileSync(files.serverChain, readFileSync(files.serverKey, 'utf8') + readFileSync(files.server, 'utf8'))
  // Readable for the user that a server in a container runs as.
  for (const file of [files.serverKey, files.clientKey, files.serverChain]) chmodSync(file, 0o644)
  return files
}

// For docker-compose.yml: certificates.ts <folder> <user>
if (import.meta.main) {
  const [folder, user] = process.argv.slice(2)
  if (folder === undefined || user === undefined) throw new Error('give a folder and the name of a user')
  await makeCertificates(folder, user, 'the URL variable')
}
