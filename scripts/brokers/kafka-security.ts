import { join } from 'node:path'
import type { Process } from './broker.ts'
import { certificatesIn } from './certificates.ts'

/** Who may log in, by every mechanism. */
export const user = 'posthorn'
/** Its password: these brokers listen on the loopback alone. */
export const password = 'posthorn-secret'

/** Arguments of the formatting tool that make the user known to SCRAM. */
export const scramUsers: readonly string[] = ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
  '--add-scram',
  `${mechanism}=[name=${user},password=${password}]`,
])

type Lines = Readonly<Record<string, string | number | boolean>>

const modules = 'org.apache.kafka.common.security'

/** Lines that add the secured listeners to those of a plain broker. */
export const secured = (plain: Lines, { folder, ports }: Process): Lines => {
  const at = (port: string) => `127.0.0.1:${ports[port]}`
  const listeners = `SASL://${at('sasl')},SASLTLS://${at('saslTls')},TLS://${at('tls')}`
  const jaas = ['sasl', 'sasltls'].flatMap((listener) => [
    ...['scram-sha-256', 'scram-sha-512'].map((mechanism) => [
      `listener.name.${listener}.${mechanism}.sasl.jaas.config`,
      `${modules}.scram.ScramLoginModule required;`,
    ]),
    [
      `listener.name.${listener}.plain.sasl.jaas.config`,
      `${modules}.plain.PlainLoginModule required user_${user}="${password}";`,
    ],
    [
      // Tokens are taken unsigned: what is tested is that a client brings one.
      `listener.name.${listener}.oauthbearer.sasl.jaas.config`,
      `${modules}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="${user}";`,
    ],
  ])
  const files = certificatesIn(join(folder, 'certificates'))
  return {
    listeners: `${plain['listeners']},${listeners}`,
    'advertised.listeners': `${plain['advertised.listeners']},${listeners}`,
    'listener.security.protocol.map': `${plain['listener.security.protocol.map']},SASL:SASL_PLAINTEXT,SASLTLS:SASL_SSL,TLS:SSL`,
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
    ...(Object.fromEntries(jaas) as Lines),
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': files.serverChain,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': files.authority,
    'listener.name.tls.ssl.client.auth': 'required',
  }
}
