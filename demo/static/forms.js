// What the parts of the page share: elements by their id, and forms that tell what went wrong.

export const at = (id) => document.getElementById(id);

// Runs an action, with the button that was pressed, when a form is sent; what it throws stands below the form.
export function onSubmit(id, action) {
  const form = at(id);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.submitter ?? form.querySelector("[type=submit]");
    const problem = form.querySelector("[data-problem]");
    if (problem) problem.textContent = "";
    button.disabled = true;
    try {
      await action(form, button);
    } catch (error) {
      problem.textContent = error.message;
    } finally {
      button.disabled = false;
    }
  });
}
