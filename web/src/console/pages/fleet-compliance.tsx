import { useState } from 'react';
import { When } from '../../shared/time.tsx';
import { useAct, useAnswer } from '../data.ts';
import { Chip, DeviceLink, Empty, Frame, Loaded, Refused, type Tone } from '../parts.tsx';
import { useSearch } from '../router.ts';
import { useMayChange } from '../session.tsx';
import { type Finding, fleetApi, type Rule, VERDICTS, type Verdict } from './fleet-api.ts';
import { asDraft, asFilter, emptyDraft, FilterText, useFields } from './fleet-filter.tsx';
import { FilterForm } from './fleet-form.tsx';
import { Drift, InventoryPlans, Silence } from './fleet-watch.tsx';

export const VERDICT: Readonly<Record<Verdict, readonly [Tone, string]>> = {
  compliant: ['good', 'compliant'],
  grace: ['warn', 'in grace'],
  failing: ['bad', 'not compliant'],
  unknown: ['quiet', 'unknown'],
};

function RuleDialog({ rule, onClose, onDone }: { rule?: Rule; onClose: () => void; onDone: () => void }) {
  const fields = useFields();
  const groups = useAnswer('groups', fleetApi.groups).data?.items ?? [];
  const [name, setName] = useState(rule?.name ?? '');
  const [group, setGroup] = useState(rule?.group ?? '');
  const [grace, setGrace] = useState(String((rule?.graceHours ?? 24) / 24));
  const [draft, setDraft] = useState(() =>
    rule === undefined
      ? { ...emptyDraft(), rows: [{ id: 0, field: 'os', op: 'at-least', value: '' }] }
      : asDraft(rule.condition),
  );
  const condition = draft === undefined ? rule!.condition : asFilter(draft, fields);
  const save = useAct(async () => {
    const graceHours = Math.round(Number(grace) * 24);
    await fleetApi.saveRule(rule?.id, { name: name.trim(), group: group === '' ? null : group, condition, graceHours });
    onDone();
    onClose();
  });
  const before = (
    <div className="row">
      <div className="field">
        <label htmlFor="rule-group">For</label>
        <select id="rule-group" value={group} onChange={(event) => setGroup(event.target.value)}>
          <option value="">every enrolled device</option>
          {groups.map((one) => (
            <option key={one.id} value={one.id}>
              {one.name}
            </option>
          ))}
        </select>
      </div>
      <div className="field">
        <label htmlFor="rule-grace">Grace, days</label>
        <input
          id="rule-grace"
          type="number"
          min={0}
          max={365}
          step="any"
          required
          value={grace}
          onChange={(event) => setGrace(event.target.value)}
        />
      </div>
    </div>
  );
  return (
    <FilterForm
      title={rule === undefined ? 'New rule' : `Change ${rule.name}`}
      {...{ name, draft, fields, save, before, onClose, onName: setName, onDraft: setDraft, button: 'Save rule' }}
      filter={condition}
    >
      <p className="small quiet">
        A device complies only with what it has reported. What is not known counts as unknown, never as compliant.
      </p>
    </FilterForm>
  );
}

/** What a rule says of devices, with why. */
export function Findings({ items, by }: { items: readonly Finding[]; by: 'device' | 'rule' }) {
  return (
    <ul>
      {items.map((one) => (
        <li key={`${one.rule}${one.device}`} className="command">
          <div className="row">
            {by === 'device' ? <DeviceLink handle={one.device} /> : <strong>{one.name}</strong>}{' '}
            <Chip tone={VERDICT[one.state][0]}>{VERDICT[one.state][1]}</Chip>
            <span className="quiet small">
              since <When at={one.since} />
              {one.graceUntil === null ? null : (
                <>
                  , grace ends <When at={one.graceUntil} />
                </>
              )}
            </span>
          </div>
          {one.why.map((why) => (
            <p key={why} className="small">
              {why}
            </p>
          ))}
        </li>
      ))}
    </ul>
  );
}

function RuleDevices({ rule, state }: { rule: string; state: Verdict }) {
  const answer = useAnswer(`findings:${rule}:${state}`, (signal) => fleetApi.findings(rule, state, signal));
  return (
    <Loaded answer={answer}>
      {({ items, next }) =>
        items.length === 0 ? (
          <Empty title="No device" />
        ) : (
          <>
            <Findings items={items} by="device" />
            {next === null ? null : <p className="quiet small">The first {items.length} are shown.</p>}
          </>
        )
      }
    </Loaded>
  );
}

export function Compliance() {
  const answer = useAnswer('compliance', fleetApi.rules);
  const fields = useFields();
  const [search, change] = useSearch();
  const [open, setOpen] = useState<Rule | 'new'>();
  const mayChange = useMayChange();
  const remove = useAct(async (id: string) => {
    await fleetApi.deleteRule(id);
    answer.reload();
  });
  const chosen = search.get('rule');
  const state = (search.get('verdict') ?? 'failing') as Verdict;
  return (
    <Frame
      title="Compliance"
      aside={
        mayChange ? (
          <button type="button" className="primary" onClick={() => setOpen('new')}>
            New rule
          </button>
        ) : undefined
      }
    >
      <Loaded answer={answer}>
        {({ items }) => (
          <>
            {items.length === 0 ? (
              <Empty title="No rules yet">
                A rule says what must be true of devices, for instance a system version or a passcode, and how long they
                may take.
              </Empty>
            ) : (
              <ul>
                {items.map((rule) => (
                  <li key={rule.id} className="approval">
                    <div>
                      <div className="row">
                        <h2>{rule.name}</h2>
                        {rule.inStep ? null : <Chip tone="info">being judged</Chip>}
                      </div>
                      <p className="small">
                        {rule.groupName ?? 'Every enrolled device'}: {FilterText({ filter: rule.condition, fields })}
                        <span className="quiet">
                          {rule.graceHours === 0
                            ? '; no grace'
                            : `; ${Math.round((rule.graceHours / 24) * 10) / 10} days of grace`}
                        </span>
                      </p>
                      <p className="row">
                        {VERDICTS.map((verdict) => (
                          <button
                            key={verdict}
                            type="button"
                            className="plain"
                            aria-pressed={chosen === rule.id && state === verdict}
                            onClick={() => change({ rule: rule.id, verdict })}
                          >
                            <Chip tone={rule.counts[verdict] === 0 ? 'quiet' : VERDICT[verdict][0]}>
                              {rule.counts[verdict]} {VERDICT[verdict][1]}
                            </Chip>
                          </button>
                        ))}
                      </p>
                      {chosen === rule.id ? <RuleDevices rule={rule.id} state={state} /> : null}
                    </div>
                    {mayChange ? (
                      <div className="row">
                        <button type="button" onClick={() => setOpen(rule)}>
                          Change
                        </button>
                        <button
                          type="button"
                          className="plain"
                          disabled={remove.busy}
                          onClick={() => remove.run(rule.id)}
                        >
                          Delete
                        </button>
                      </div>
                    ) : null}
                  </li>
                ))}
              </ul>
            )}
            <Refused problem={remove.problem} />
          </>
        )}
      </Loaded>
      <Drift />
      <Silence mayChange={mayChange} />
      <InventoryPlans mayChange={mayChange} />
      {open === undefined ? null : (
        <RuleDialog
          {...(open === 'new' ? {} : { rule: open })}
          onClose={() => setOpen(undefined)}
          onDone={answer.reload}
        />
      )}
    </Frame>
  );
}
