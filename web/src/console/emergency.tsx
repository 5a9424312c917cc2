/** Sends a change outside its maintenance window; `undefined` while nobody asks for that. */
export function Emergency(props: { value: string | undefined; onChange: (value: string | undefined) => void }) {
  const { value, onChange } = props;
  return (
    <>
      <label className="row" htmlFor="emergency">
        <input
          id="emergency"
          type="checkbox"
          checked={value !== undefined}
          onChange={(event) => onChange(event.target.checked ? '' : undefined)}
        />{' '}
        Emergency: do not wait for the maintenance window
      </label>
      {value === undefined ? null : (
        <div className="field">
          <label htmlFor="emergency-why">
            Why can it not wait? <span className="hint">5 to 200 characters; it goes into the log</span>
          </label>
          <textarea
            id="emergency-why"
            maxLength={200}
            value={value}
            onChange={(event) => onChange(event.target.value)}
          />
        </div>
      )}
    </>
  );
}

/** What is wrong with the reason, or undefined. */
export const emergencyFault = (value: string | undefined): string | undefined =>
  value !== undefined && value.trim().length < 5 ? 'Say in 5 to 200 characters why it cannot wait.' : undefined;
