// What the browser keeps, where it lets pages keep anything.

/** ``storage``: "localStorage", or "sessionStorage", which ends with the tab. */
export function recall(storage, name) {
  try {
    return window[storage].getItem(name);
  } catch {
    return null;
  }
}

/** null forgets it. */
export function keep(storage, name, value) {
  try {
    if (value === null) window[storage].removeItem(name);
    else window[storage].setItem(name, value);
  } catch {
    // it lasts as long as the page
  }
}
