// What is shown, and the same in the page's address, so that a link brings others to it.

export const NOTHING = { layer: "", step: "", with: "", wstep: "", swipe: 50, region: "", at: null };

/** The state that an address holds; what it does not hold is as in NOTHING. */
export function readState(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const state = { ...NOTHING };
  for (const key of ["layer", "step", "with", "wstep", "region"]) state[key] = given.get(key) ?? "";
  const swipe = Number(given.get("swipe") ?? NOTHING.swipe);
  state.swipe = Number.isFinite(swipe) ? Math.min(100, Math.max(0, swipe)) : NOTHING.swipe;
  const at = (given.get("at") ?? "").split(",").map(Number);
  state.at = at.length === 3 && at.every(Number.isFinite) && at[2] > 0 ? at : null;
  return state;
}

/** The address of a state. */
export function writeState(state) {
  const held = new URLSearchParams();
  for (const key of ["layer", "step", "with", "wstep", "region"]) if (state[key]) held.set(key, state[key]);
  if (state.with) held.set("swipe", String(state.swipe));
  if (state.at) held.set("at", state.at.map((each) => Number(each.toPrecision(6))).join(","));
  return `#${held.toString().replaceAll("%2F", "/").replaceAll("%2C", ",")}`;
}
