// Clients of Kafka that are not ours, by the command line: librdkafka's kcat (Debian) and the broker's own Java tools.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { debianTree } from './debian-packages.ts'
import { kafkaJars } from './kafka.ts'

const libraries = 'libc6 liblz4-1 libsasl2-2 libssl3 libzstd1 zlib1g librdkafka1 libyajl2'

/** Runs kcat; `input` is what it reads. Gives what it wrote to stdout. */
export const kcat = async (args: readonly string[], input = ''): Promise<string> => {
  const tree = await debianTree({
    name: 'kcat',
    suite: 'bookworm',
    packages: [...libraries.split(' '), 'kcat'],
    orSet: 'KAFKA_URL',
  })
  return piped(join(tree, 'usr/bin/kcat'), args, input)
}

/** Runs a Java tool of Kafka by its class, such as `org.apache.kafka.tools.ConsoleProducer`. */
export const kafkaTool = async (name: string, args: readonly string[], input = ''): Promise<string> => {
  const quick = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xmx128m']
  return piped('java', [...quick, '-cp', join(await kafkaJars(), '*'), name, ...args], input)
}

const piped = (file: string, args: readonly string[], input: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: 'pipe' })
    let [output, complaints] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaints += text
    })
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) resolve(output)
      else reject(new Error(`${file} ${args.at(0)} ended with ${code}:\n${complaints}${output}`))
    })
    child.stdin.end(input)
  })
