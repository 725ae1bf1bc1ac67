"""Open every page of the built site in headless Chromium, as a visitor would.

    python tools/check_site.py            # after tools/docs.py; needs selenium, chromium and chromedriver
    python tools/check_site.py --shots folder

On each page: its buttons lead to a notebook that exists, on exercises to the student's; no error in the console,
nothing fetched from another host, every picture loaded and described, every formula laid out, nothing wider than a phone,
hidden parts hidden. Once: the search finds a word. The last line counts pages, pictures and formulas.
"""
import json
import re
import shutil
import sys
import threading
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlparse

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT/'_docs'
OPTIONS = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
           '--disable-background-networking',
           '--disable-component-update', '--disable-sync', '--hide-scrollbars']
FACTS = '''
const shown = e => { const b = e.getBoundingClientRect(); return b.width > 0 && b.height > 0 };
const inside = e => !e.closest('details:not([open]), .collapse:not(.show), .callout-collapse');
const main = document.querySelector('main') || document.body;
const prose = [...main.querySelectorAll('p, li, td, h1, h2, h3')].filter(e => !e.closest('pre, code'));
return {
  pictures: document.images.length,
  broken: [...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src.slice(0, 80)),
  silent: [...document.images].filter(i => !(i.alt || '').trim()).length,
  formulas: document.querySelectorAll('math').length,
  flat: [...document.querySelectorAll('math')].filter(e => inside(e) && !shown(e)).length,
  dollars: prose.filter(e => /\\$[^$]*\\\\[a-z]+[^$]*\\$/.test(e.textContent)).map(e => e.textContent.slice(0, 60)),
  solutions: [...document.querySelectorAll('.solution, .callout-collapse.collapse')]
    .filter(e => shown(e) && !e.classList.contains('show')).length,
  bare: getComputedStyle(document.querySelector('.navbar')).backgroundColor === 'rgba(0, 0, 0, 0)',
  pipes: prose.filter(e => /\\|\\s*-{3,}/.test(e.textContent) || (e.textContent.match(/ \\| /g) || []).length > 8).length,
  doors: [...document.querySelectorAll('.open-in a')].map(a => a.href),
  title: document.title, words: main.innerText.split(/\\s+/).length };
'''


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args): pass


def chromium():
    "Why there is no browser to be driven, or None."
    try: import selenium  # noqa: F401
    except ImportError: return 'selenium is not installed'
    if not (shutil.which('chromium') or shutil.which('google-chrome')) or not shutil.which('chromedriver'):
        return 'no chromium with chromedriver here'


def browser(width, height):
    "Chromium with its console and its requests on record."
    from selenium import webdriver
    options = webdriver.ChromeOptions()
    for o in OPTIONS + [f'--window-size={width},{height}']: options.add_argument(o)
    options.binary_location = shutil.which('chromium') or shutil.which('google-chrome')
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL', 'performance': 'ALL'})
    return webdriver.Chrome(options, webdriver.ChromeService(shutil.which('chromedriver')))


def requests(driver):
    "Every address that was asked for since the last call."
    for entry in driver.get_log('performance'):
        message = json.loads(entry['message'])['message']
        if message['method'] == 'Network.requestWillBeSent': yield message['params']['request']['url']


def closed_doors(page, doors):
    "What is wrong with a page's buttons: Colab, Kaggle and GitHub, to its notebook in the release that its set-up cell installs."
    source = ROOT/'nbs'/Path(page).with_suffix('.ipynb')
    if not doors:
        return ['no buttons'] if source.exists() and 'run_line_magic' in source.read_text(encoding='utf-8') else []
    student = ROOT/'students'/source.name
    wanted = student if page.startswith('exercises/') and 'BEGIN SOLUTION' in source.read_text(encoding='utf-8') else source
    parts = [re.search(r'/blob/(v[^/]+)/(.+)$', d) for d in doors]
    if len(doors) != 3 or not all(parts): return [f'{len(doors)} buttons: {doors}']
    wrong = [f'button to {m[2]} instead of {wanted.relative_to(ROOT)}' for m in parts if ROOT/m[2] != wanted
             or not wanted.is_file()]
    return wrong or [f'button to release {m[1]}, which its set-up cell does not install' for m in parts
                     if f'monet_course@{m[1]}' not in wanted.read_text(encoding='utf-8')]


def look(driver, url, host):
    "Facts of one page, and what is wrong with it."
    driver.get(url)
    driver.execute_async_script('const done = arguments[0]; Promise.all([...document.images].map(i => '
                                'i.decode().catch(() => 0))).then(() => done())')
    facts = driver.execute_script(FACTS)
    wrong = [f"console: {e['message'][:200]}" for e in driver.get_log('browser') if e['level'] in ('SEVERE', 'WARNING')]
    wrong += [f'fetched from elsewhere: {u[:100]}' for u in requests(driver) if urlparse(u).scheme in ('http', 'https')
              and urlparse(u).netloc != host]
    wrong += [f'picture not loaded: {s}' for s in facts['broken']] + [f'formula not converted: {s}'
                                                                      for s in facts['dollars']]
    if facts['silent']: wrong.append(f"{facts['silent']} pictures without a description")
    if facts['flat']: wrong.append(f"{facts['flat']} formulas of no size")
    if facts['solutions']: wrong.append(f"{facts['solutions']} hidden parts that show")
    if facts['bare']: wrong.append('the theme is missing')
    if facts['pipes']: wrong.append(f"{facts['pipes']} tables that are not laid out")
    wrong += closed_doors(urlparse(url).path.strip('/'), facts['doors'])
    if facts['words'] < 20: wrong.append('hardly a word on it')
    return facts, wrong


def overflow(driver):
    "Pixels by which the page is wider than the window."
    return driver.execute_script('return document.scrollingElement.scrollWidth - window.innerWidth')


def search(driver, home, word):
    "Pages that the search box offers for a word."
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait
    driver.get(home)
    box = WebDriverWait(driver,
                        10).until(lambda d: next(iter(d.find_elements(By.CSS_SELECTOR,
                                                                      'input[type=search], #quarto-search input, '
                                                                      '.search input')), None))
    box.send_keys(word)
    hits = WebDriverWait(driver,
                         10).until(lambda d: [a for a in d.find_elements(By.CSS_SELECTOR, 'a[href*=".html"]')
                                              if a.is_displayed() and word in (a.text or '').lower()])
    return [a.get_attribute('href') for a in hits]


def main():
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument('--shots', type=Path, help='folder for a picture of every page, wide and narrow')
    args = parser.parse_args()
    if why := chromium(): return print(f'site: {why}; the pages were not opened in a browser') or 0
    pages = [p.relative_to(SITE).as_posix() for p in sorted(SITE.rglob('*.html')) if 'site_libs' not in p.parts]
    if not pages: sys.exit(f'{SITE}: no pages; build them with `make docs`')
    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=SITE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host, wrong, count = f'127.0.0.1:{server.server_port}', [], dict(pictures=0, formulas=0, doors=0)
    driver = browser(1300, 1000)
    try:
        for page in pages:
            driver.set_window_size(1300, 1000)
            facts, problems = look(driver, f'http://{host}/{page}', host)
            for name in count: count[name] += facts[name] if isinstance(facts[name], int) else len(facts[name])
            if args.shots: save(driver, args.shots/f'{page.replace("/", "_")}.png')
            driver.set_window_size(400, 800)
            if (extra := overflow(driver)) > 0: problems.append(f'{extra} pixels wider than a phone')
            if args.shots: save(driver, args.shots/f'{page.replace("/", "_")}.phone.png')
            wrong += [f'{page}: {p}' for p in problems]
        driver.set_window_size(1300, 1000)
        if not search(driver, f'http://{host}/index.html', 'checkerboard'):
            wrong.append('the search does not find "checkerboard"')
    finally: driver.quit(); server.shutdown()
    for line in wrong: print(line, file=sys.stderr)
    print(f"site: {len(pages)} pages, {count['pictures']} pictures and {count['formulas']} formulas looked at in "
          f"Chromium, {count['doors']} buttons to notebooks, {len(wrong)} problems")
    return bool(wrong)


def save(driver, path):
    "A picture of what the window shows."
    path.parent.mkdir(parents=True, exist_ok=True)
    driver.save_screenshot(str(path))


if __name__ == '__main__': sys.exit(main())
