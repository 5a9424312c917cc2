import { When } from '../../shared/time.tsx';
import { useAnswer } from '../data.ts';
import { Chip, Empty, Loaded, type Tone } from '../parts.tsx';
import { declaredApi } from './declared-api.ts';

const TONE: Readonly<Record<string, Tone>> = {
  applied: 'good',
  waiting: 'info',
  changed: 'info',
  invalid: 'bad',
  unapproved: 'warn',
  'left-over': 'warn',
};

/** What is declared for a device against what it reports. */
export function DeviceDeclared({ handle }: { handle: string }) {
  const answer = useAnswer(`declared:${handle}`, (signal) => declaredApi.standing(handle, signal));
  return (
    <section className="section">
      <h2>Declarations</h2>
      <Loaded answer={answer}>
        {({ standing }) =>
          standing === null ? (
            <Empty title="Nothing is declared for this device" />
          ) : (
            <>
              <p className="quiet">
                {standing.upToDate ? 'It fetched the newest list' : 'It has not fetched the newest list yet'}; it last
                reported <When at={standing.reportedAt} />.
              </p>
              <ul>
                {standing.declarations.map((one) => (
                  <li key={`${one.kind} ${one.identifier}`} className="stack tight">
                    <div className="row">
                      <Chip tone={TONE[one.state] ?? 'quiet'}>{one.state}</Chip>
                      <span className="mono small wrap-anywhere">{one.identifier}</span>
                    </div>
                    <p className="quiet small">
                      {one.why} {one.reasons.join(', ')}
                    </p>
                  </li>
                ))}
              </ul>
            </>
          )
        }
      </Loaded>
    </section>
  );
}
