#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

// What Swift can't call or see: functions with any number of arguments, and the C library's own
// streams.

typedef unsigned char (*dat_el_function)(EditLine *, wint_t);

/// Text is UTF-8 here, whatever the environment says: libedit counts columns by the C locale.
static inline void dat_el_use_utf8(void) {
  setlocale(LC_CTYPE, "");
  if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0) setlocale(LC_CTYPE, "C.UTF-8");
}

static inline wchar_t *dat_el_prompt(EditLine *editor) {
  static wchar_t prompt[] = L"> ";
  (void)editor;
  return prompt;
}

/// How many columns a character takes, as libedit counts them; -1 for one that shows nothing.
static inline int dat_el_width(wchar_t character) {
  extern int wcwidth(wchar_t);
  return wcwidth(character);
}

/// An editor on the terminal of standard input and output, with emacs' keys unless ~/.editrc wants
/// others. Signals are left to the program.
static inline EditLine *dat_el_open(
    HistoryW *history, void *client, el_rfunc_t read_key, dat_el_function complete) {
  EditLine *editor = el_init("dat", stdin, stdout, stderr);
  if (editor == NULL) return NULL;
  HistEventW event;
  history_w(history, &event, H_SETSIZE, 500);
  history_w(history, &event, H_SETUNIQUE, 1);
  el_wset(editor, EL_CLIENTDATA, client);
  el_wset(editor, EL_SIGNAL, 0);
  el_wset(editor, EL_PROMPT, dat_el_prompt);
  el_wset(editor, EL_EDITOR, L"emacs");
  el_wset(editor, EL_HIST, history_w, history);
  el_wset(editor, EL_GETCFN, read_key);
  el_wset(editor, EL_ADDFN, L"dat-complete", L"Complete a command or a name", complete);
  el_wset(editor, EL_BIND, L"^I", L"dat-complete", NULL);
  el_wset(editor, EL_BIND, L"^R", L"em-inc-search-prev", NULL);
  el_wset(editor, EL_BIND, L"^W", L"ed-delete-prev-word", NULL);
  // Delete, Home and End as terminals send them.
  el_wset(editor, EL_BIND, L"\\e[3~", L"ed-delete-next-char", NULL);
  el_wset(editor, EL_BIND, L"\\e[H", L"ed-move-to-beg", NULL);
  el_wset(editor, EL_BIND, L"\\e[F", L"ed-move-to-end", NULL);
  el_wset(editor, EL_BIND, L"\\e[1~", L"ed-move-to-beg", NULL);
  el_wset(editor, EL_BIND, L"\\e[4~", L"ed-move-to-end", NULL);
  el_wset(editor, EL_BIND, L"\\e[1;5D", L"ed-prev-word", NULL);
  el_wset(editor, EL_BIND, L"\\e[1;5C", L"em-next-word", NULL);
  // libedit gives the terminal back between two lines. A Ctrl-D that is typed there is no mark of the system's,
  // which is lost once the terminal is taken again.
  el_wset(editor, EL_SETTY, L"-x", L"eof=", NULL);
  el_source(editor, NULL);
  return editor;
}

static inline void *dat_el_client(EditLine *editor) {
  void *client = NULL;
  el_wget(editor, EL_CLIENTDATA, &client);
  return client;
}

static inline void dat_el_redraw(EditLine *editor) { el_wset(editor, EL_REFRESH); }

/// Takes the terminal again, after a line or after the program was stopped and went on.
static inline void dat_el_retake(EditLine *editor) {
  el_wset(editor, EL_PREP_TERM, 1);
  // Since the system has no end-of-file key now, libedit takes Ctrl-Space for it.
  el_wset(editor, EL_BIND, L"^@", L"em-set-mark", NULL);
}

static inline void dat_el_remember(HistoryW *history, const wchar_t *line) {
  HistEventW event;
  history_w(history, &event, H_ENTER, line);
}

/// What libedit has written and not yet sent.
static inline void dat_el_flush(void) { fflush(stdout); }
