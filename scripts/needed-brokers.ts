/** The brokers that a package's tests talk to, as `pnpm brokers` names them. Their tests run one file after the other. */
export const neededBrokers: Readonly<Record<string, readonly string[]>> = {
  rabbitmq: ['rabbitmq'],
  kafka: ['kafka'],
}
