import { type ReactNode, useEffect, useRef, useState } from 'react';
import { asProblem, type Problem } from '../shared/problem.ts';
import { api, whenExpired } from './client.ts';
import { forgetAnswers, useAct, useAnswer } from './data.ts';
import { JUMPS, SECTIONS, useShortcuts } from './keys.ts';
import type { Session } from './model.ts';
import { AlertPage } from './pages/alert.tsx';
import { Alerts } from './pages/alerts.tsx';
import { Approvals } from './pages/approvals.tsx';
import { AppsPage } from './pages/apps.tsx';
import { Declarations } from './pages/declarations.tsx';
import { DevicePage } from './pages/device.tsx';
import { Devices } from './pages/devices.tsx';
import { Enrolment } from './pages/enrolment.tsx';
import { Compliance } from './pages/fleet-compliance.tsx';
import { Groups } from './pages/fleet-groups.tsx';
import { Retirements } from './pages/fleet-retire.tsx';
import { IncidentPage } from './pages/incident.tsx';
import { Incidents } from './pages/incidents.tsx';
import { KeysPage } from './pages/keys.tsx';
import { Locks } from './pages/locks.tsx';
import { Messages } from './pages/messages.tsx';
import { OverviewPage } from './pages/overview.tsx';
import { People } from './pages/people.tsx';
import { PersonPage } from './pages/person.tsx';
import { ProfilePage } from './pages/profile.tsx';
import { Profiles } from './pages/profiles.tsx';
import { PushBanner, PushPage } from './pages/push.tsx';
import { Queue } from './pages/queue.tsx';
import { Rollouts } from './pages/rollouts.tsx';
import { RosterPage } from './pages/roster.tsx';
import { LimitsPage, RosterBanner } from './pages/roster-limits.tsx';
import { SealedPage } from './pages/roster-sealed.tsx';
import { SignInPage } from './pages/sign-in.tsx';
import { SoftwareUpdates } from './pages/updates.tsx';
import { Chip, Dialog, Frame, Refused } from './parts.tsx';
import { followLinks, usePlace } from './router.ts';
import { finishSignIn, leaveToSignIn, SessionContext } from './session.tsx';

function page(path: string): ReactNode {
  const [room, id, ...rest] = path.split('/').slice(1);
  if (rest.length > 0) return undefined;
  if (id !== undefined && id !== '') {
    if (room === 'devices') return <DevicePage key={id} handle={id} />;
    if (room === 'people') return <PersonPage key={id} handle={id} />;
    if (room === 'profiles') return <ProfilePage key={id} id={id} />;
    if (room === 'alerts') return <AlertPage key={id} id={id} />;
    if (room === 'incidents') return <IncidentPage key={id} id={id} />;
    return undefined;
  }
  if (room === '') return <OverviewPage />;
  if (room === 'devices') return <Devices />;
  if (room === 'enrolment') return <Enrolment />;
  if (room === 'groups') return <Groups />;
  if (room === 'compliance') return <Compliance />;
  if (room === 'retirements') return <Retirements />;
  if (room === 'people') return <People />;
  if (room === 'messages') return <Messages />;
  if (room === 'alerts') return <Alerts />;
  if (room === 'incidents') return <Incidents />;
  if (room === 'approvals') return <Approvals />;
  if (room === 'locks') return <Locks />;
  if (room === 'profiles') return <Profiles />;
  if (room === 'declarations') return <Declarations />;
  if (room === 'updates') return <SoftwareUpdates />;
  if (room === 'apps') return <AppsPage />;
  if (room === 'rollouts') return <Rollouts />;
  if (room === 'queue') return <Queue />;
  if (room === 'push') return <PushPage />;
  if (room === 'admins') return <RosterPage />;
  if (room === 'limits') return <LimitsPage />;
  if (room === 'break-glass') return <SealedPage />;
  if (room === 'keys') return <KeysPage />;
  return undefined;
}

function Help({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keyboard" onClose={onClose}>
      <dl className="shortcuts">
        {JUMPS.map(([key, , label]) => (
          <div key={key}>
            <dt>
              <kbd>g</kbd> <kbd>{key}</kbd>
            </dt>
            <dd>{label}</dd>
          </div>
        ))}
        {(
          [
            ['/', 'Search this list'],
            ['j', 'Next row'],
            ['k', 'Previous row'],
            ['x', 'Select the row'],
            ['Enter', 'Open the row'],
            ['?', 'This help'],
            ['Esc', 'Close'],
          ] as const
        ).map(([key, label]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{label}</dd>
          </div>
        ))}
      </dl>
      <div>
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
    </Dialog>
  );
}

function Expired() {
  const leave = useAct(leaveToSignIn);
  return (
    <Dialog title="You are signed out" onClose={() => {}}>
      <p>Your session ended, by time or because it was cut off. What you typed is kept in this tab.</p>
      <Refused problem={leave.problem} />
      <div>
        <button type="button" className="primary" disabled={leave.busy} onClick={() => leave.run()}>
          Sign in again
        </button>
      </div>
    </Dialog>
  );
}

function Navigation({ path }: { path: string }) {
  const { data } = useAnswer('overview', api.overview);
  const count: Readonly<Record<string, number | undefined>> = {
    '/alerts': data?.alerts.open,
    '/approvals': data?.approvals.open,
    '/incidents': data?.incidents.open,
    '/locks': data?.locks.length,
  };
  return (
    <nav id="pages" aria-label="Pages">
      {SECTIONS.map(([title, paths]) => (
        <section key={title} aria-label={title}>
          {title === 'Overview' ? null : <h2>{title}</h2>}
          <ul>
            {JUMPS.filter(([, to]) => paths.includes(to)).map(([key, to, label]) => {
              const current = to === '/' ? path === '/' : path === to || path.startsWith(`${to}/`);
              const open = count[to] ?? 0;
              return (
                <li key={to}>
                  <a href={to} aria-current={current ? 'page' : undefined} aria-keyshortcuts={`g ${key}`}>
                    <span>{label.replace(/ \(.*/, '')}</span>
                    {open === 0 ? null : (
                      <span className={to === '/locks' || to === '/alerts' ? 'badge bad' : 'badge'}>
                        {open}
                        <span className="hidden-visually"> open</span>
                      </span>
                    )}
                  </a>
                </li>
              );
            })}
          </ul>
        </section>
      ))}
    </nav>
  );
}

function Shell({ session, onEnd }: { session: Session; onEnd: () => void }) {
  const path = usePlace().split('?')[0] as string;
  const [help, setHelp] = useState(false);
  const [menu, setMenu] = useState(false);
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useShortcuts(() => setHelp(true));
  const out = useAct(async () => {
    await api.signOut();
    onEnd();
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new page takes the focus, as a page load would
  useEffect(() => {
    if (first.current) first.current = false;
    else main.current?.focus({ preventScroll: true });
    setMenu(false);
    scrollTo(0, 0);
  }, [path]);
  return (
    <div className="shell">
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <header className={menu ? 'side open' : 'side'}>
        <a className="brand" href="/">
          <img src="/icon.svg" alt="" width="22" height="22" />
          Bartizan
        </a>
        <button
          type="button"
          className="menu"
          aria-expanded={menu}
          aria-controls="pages"
          onClick={() => setMenu(!menu)}
          onKeyDown={(event) => event.key === 'Escape' && setMenu(false)}
        >
          Menu
        </button>
        <Navigation path={path} />
        <div className="who small">
          <span className="mono">{session.admin}</span>
          <span className="quiet">{session.role}</span>
          <span className="row">
            <button type="button" className="plain" onClick={() => out.run()} disabled={out.busy}>
              Sign out
            </button>
            <button type="button" className="plain" onClick={() => setHelp(true)} aria-keyshortcuts="?">
              Keyboard <kbd>?</kbd>
            </button>
          </span>
          <Refused problem={out.problem} />
        </div>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        <RosterBanner />
        {path === '/push' ? null : <PushBanner />}
        {page(path) ?? (
          <Frame title="There is no such page">
            <p>
              Start again from <a href="/">the overview</a>, or press <kbd>?</kbd> for all shortcuts.
            </p>
          </Frame>
        )}
      </main>
      {help ? <Help onClose={() => setHelp(false)} /> : null}
    </div>
  );
}

export function App() {
  const [session, setSession] = useState<Session>();
  const [asked, setAsked] = useState(false);
  const [expired, setExpired] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  useEffect(() => {
    whenExpired(() => setExpired(true));
    (finishSignIn() ?? api.session())
      .then(setSession, (error: unknown) => setProblem(asProblem(error)))
      .finally(() => setAsked(true));
  }, []);
  // biome-ignore lint/a11y/noStaticElementInteractions: catches clicks that bubble from real links
  // biome-ignore lint/a11y/useKeyWithClickEvents: links answer to the keyboard by themselves
  const around = (content: ReactNode) => <div onClick={followLinks}>{content}</div>;
  if (!asked) {
    return (
      <main className="gate">
        <Chip tone="quiet">Loading</Chip>
      </main>
    );
  }
  if (session === undefined) return <SignInPage problem={problem} />;
  return around(
    <SessionContext value={session}>
      <Shell
        session={session}
        onEnd={() => {
          forgetAnswers();
          setProblem(undefined);
          setSession(undefined);
        }}
      />
      {expired ? <Expired /> : null}
    </SessionContext>,
  );
}
