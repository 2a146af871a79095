/** What the program of `program.ts` leaves on a transport that has every cell of the capability table: topic, group, key, body, attempt, verdict. */
export const golden = `
steps a dies {"key":"dies","n":0} 1 ack
steps a dies {"key":"dies","n":1} 1 threw
steps a dies {"key":"dies","n":1} 2 threw
steps a dies {"key":"dies","n":1} 3 threw
steps a dies {"key":"dies","n":2} 1 ack
steps a fails {"key":"fails","n":0} 1 ack
steps a fails {"key":"fails","n":1} 1 threw
steps a fails {"key":"fails","n":1} 2 threw
steps a fails {"key":"fails","n":1} 3 ack
steps a fails {"key":"fails","n":2} 1 ack
steps a goes back {"key":"goes back","n":0} 1 nack
steps a goes back {"key":"goes back","n":0} 2 ack
steps a goes back {"key":"goes back","n":1} 1 ack
steps a goes back {"key":"goes back","n":2} 1 ack
steps a is fine {"key":"is fine","n":0} 1 ack
steps a is fine {"key":"is fine","n":1} 1 ack
steps a is fine {"key":"is fine","n":2} 1 ack
steps a is refused {"key":"is refused","n":0} 1 reject
steps a is refused {"key":"is refused","n":1} 1 ack
steps a is refused {"key":"is refused","n":2} 1 ack
steps b dies {"key":"dies","n":0} 1 ack
steps b dies {"key":"dies","n":1} 1 ack
steps b dies {"key":"dies","n":2} 1 ack
steps b fails {"key":"fails","n":0} 1 ack
steps b fails {"key":"fails","n":1} 1 ack
steps b fails {"key":"fails","n":2} 1 ack
steps b goes back {"key":"goes back","n":0} 1 ack
steps b goes back {"key":"goes back","n":1} 1 ack
steps b goes back {"key":"goes back","n":2} 1 ack
steps b is fine {"key":"is fine","n":0} 1 ack
steps b is fine {"key":"is fine","n":1} 1 ack
steps b is fine {"key":"is fine","n":2} 1 ack
steps b is refused {"key":"is refused","n":0} 1 ack
steps b is refused {"key":"is refused","n":1} 1 ack
steps b is refused {"key":"is refused","n":2} 1 ack
late-reader a k {"key":"k","n":1} 1 ack
delayed a k {"key":"k","n":1} 1 ack
cancelled a k {"key":"k","n":2} 1 ack
cancelled says cancelled
in-a-transaction a k {"key":"k","n":2} 1 ack
in-a-transaction says rolled back
priority a k {"key":"k","n":1} 1 ack
all-or-none a 1 {"key":"1","n":1} 1 ack
all-or-none a 2 {"key":"2","n":2} 1 ack
all-or-none a 3 {"key":"3","n":3} 1 ack
once-each a k {"key":"k","n":1} 1 ack
once-each a k {"key":"k","n":2} 1 ack
once-each a k {"key":"k","n":3} 1 ack
replayed a k {"key":"k","n":1} 1 ack
replayed says {"key":"k","n":1} again: true
queried a k {"key":"k","n":1} 1 ack
queried says k is {"key":"k","n":1}
filtered tagged k {"key":"k","n":1} 1 ack
filtered tagged k {"key":"k","n":3} 1 ack
by-pattern all k {"key":"k","n":1} 1 ack
`
