import type { ExposureReport } from './exposure.ts';

/** The report for people. Handles only; names are looked up on glass, under its own limits. */
export function exposureMarkdown(report: ExposureReport): string {
  const lines = [
    '# Exposure report',
    '',
    `Incident ${report.incident}, made ${report.madeAt}.`,
    `Window: ${report.from} to ${report.to}. Principal: ${report.principal ?? 'everybody'}.`,
    '',
    '| | people |',
    '|---|---|',
    `| proven read | ${report.provenCount} |`,
    `| upper bound | ${report.upperBoundCount} |`,
    `| unreadable in the window | ${report.unreadableCount} |`,
    `| in the directory | ${report.peopleCount} |`,
    '',
    ...(Object.keys(report.byField).length > 0
      ? [
          'By kind of value: ' +
            Object.entries(report.byField)
              .map(([field, count]) => `${field} ${count}`)
              .join(', ') +
            '.',
          '',
        ]
      : []),
    report.complete
      ? 'Every entry below was re-derived from the log and proven to be in it.'
      : '**At least one entry could not be proven. The upper bound is everybody.**',
    '',
    ...report.caveats.map((caveat) => `- ${caveat}`),
    '',
    '## Entries',
    '',
    '| time | leaf | admin | what | field | people | purpose | proof |',
    '|---|---|---|---|---|---|---|---|',
    ...report.entries.map((entry) =>
      [
        ...[
          '',
          new Date(entry.time).toISOString(),
          entry.leaf,
          entry.admin,
          entry.kind,
          entry.field,
          entry.subjects.length,
        ],
        ...[cell(entry.purpose), entry.verified ? `proven (${entry.proof.length} hashes)` : 'NOT PROVEN', ''],
      ]
        .join(' | ')
        .trim(),
    ),
    '',
    '## People whose values were opened',
    '',
    ...(report.proven.length === 0 ? ['None.'] : report.proven.map((handle) => `- ${handle}`)),
    '',
    '## Checkpoint',
    '',
    '```',
    report.checkpoint.trimEnd(),
    '```',
    '',
    'Verify the log without us: `bartizan log verify DIR`, or any C2SP tlog-tiles verifier (Go `sumdb/note` and `tlog`).',
  ];
  return `${lines.join('\n')}\n`;
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
