// Who scanned the code wants in: the button is for browsers without scripts.
const form = document.getElementById("join");
if (form instanceof HTMLFormElement) form.submit();
