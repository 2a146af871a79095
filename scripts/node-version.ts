/** Says plainly that these scripts run on the wrong Node: without the `node` package's build, pnpm silently falls back to the system's. */
export const needNode24 = (): void => {
  const major = Number.parseInt(process.versions.node, 10)
  if (major >= 24) return
  console.error(
    `these scripts need Node 24 and run on ${process.version}. Start them through pnpm: npx -y pnpm test; if that is what you did, run npx -y pnpm rebuild node`,
  )
  process.exit(1)
}
