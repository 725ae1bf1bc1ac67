"""Paint in headless Chromium, as a visitor of the built site would, and compare with PyTorch.

    python tools/check_paint.py            # after tools/docs.py; needs selenium, chromium and chromedriver
    python tools/check_paint.py --shots folder
    python tools/check_paint.py --weights other.safetensors    # must fail: the page has another painter

A photo goes in through the file input; what comes out is compared with `Painter.paint` of the same pixels.
Then the slider by keyboard and by mouse, a file that is no picture, one that lies on its side, dropping, pasting,
downloading, cancelling, a change of the size, a phone, and a browser without WebAssembly.
"""
import base64
import io
import sys
import tempfile
import threading
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
from PIL import Image

from check_site import SITE, Quiet, browser, chromium, overflow, requests, save

PATIENCE = 120 # seconds for one painting


class Isolated(Quiet):
    "Serves pages as hosts do that allow threads."
    def end_headers(self):
        self.send_header('Cross-Origin-Opener-Policy', 'same-origin')
        self.send_header('Cross-Origin-Embedder-Policy', 'require-corp')
        super().end_headers()


class Visitor:
    "Somebody in front of the page."
    def __init__(self, driver, address): self.driver, self.address = driver, address

    def find(self, name):
        from selenium.webdriver.common.by import By
        return self.driver.find_element(By.ID, name)

    def open(self): self.driver.get(self.address)
    def state(self): return self.find('painter').get_attribute('data-state')
    def says(self): return self.find('status').text
    def give(self, path): self.find('file').send_keys(str(path))
    def choose(self, side):
        self.driver.execute_script('const s = document.getElementById("side"); s.value = arguments[0]; s.onchange()',
                                   str(side))
    def part(self):
        return float(self.driver.execute_script('return getComputedStyle(document.getElementById("after")).clipPath')
                     .split('%')[0].rpartition('(')[2].split()[-1])

    def wait(self, state='done'):
        "Until the page is in this state; its words if it comes into another."
        end = time.time() + PATIENCE
        while time.time() < end:
            now = self.state()
            if now == state: return self.says()
            if now == 'failed': raise AssertionError(f'the page says: {self.says()}')
            time.sleep(.05)
        raise AssertionError(f'still {self.state()} after {PATIENCE} s: {self.says()}')

    def canvas(self, name):
        "The pixels of a canvas."
        data = self.driver.execute_script('return document.getElementById(arguments[0]).toDataURL("image/png")', name)
        return Image.open(io.BytesIO(base64.b64decode(data.partition(',')[2]))).convert('RGB')


def photo_of(width, height):
    "A picture with something of everything: slopes, edges, noise."
    y, x = np.mgrid[:height, :width]
    rings = 127 + 127*np.sin(np.hypot(x - width/3, y - height/2)/9)
    pixels = np.stack([255*x/width, rings, 255*y/height], 2) + np.random.default_rng(0).normal(0, 12,
                                                                                               (height, width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def levels(a, b): return np.abs(np.asarray(a, int) - np.asarray(b, int))


def same_as_pytorch(visitor, painter, wanted):
    "The painting on the page is PyTorch's of the photo on the page."
    photo, painting = visitor.canvas('before'), visitor.canvas('after')
    assert photo.size == painting.size == wanted, (photo.size, painting.size, wanted)
    off, changed = levels(painting, painter.paint(photo, size=None)), levels(painting, photo)
    assert off.max() <= 1 and off.mean() < .02, (
        f'the browser paints otherwise than PyTorch: levels of 255, at most {off.max()}, mean {off.mean():.3f}')
    assert changed.mean() > 2, f'hardly painted: {changed.mean():.2f} levels from the photo'
    return off


def paints(visitor, painter, folder):
    "A PNG of 512x512: comes in as it is, goes out as PyTorch has it. An odd size, strips, a photo on its side."
    photo_of(512, 512).save(folder/'square.png')
    visitor.give(folder/'square.png'); visitor.wait()
    assert not levels(visitor.canvas('before'), photo_of(512, 512)).any(), 'the photo was changed on its way in'
    off, seconds = same_as_pytorch(visitor, painter,
                                   (512, 512)), float(visitor.find('painter').get_attribute('data-seconds'))
    print(f'paint: 512x512 in {seconds:.1f} s on one thread; from PyTorch at most {off.max()} level, {off.mean():.4f} '
          'in the mean')
    lying = photo_of(301, 187)
    lying.save(folder/'lying.jpg',
               exif=bytes.fromhex('45786966000049492a0008000000010012010300010000000600000000000000'), quality=95)
    visitor.give(folder/'lying.jpg'); time.sleep(.2); visitor.wait()
    same_as_pytorch(visitor, painter, (187, 301))


def sizes(visitor, painter, folder):
    "Large photos are painted at the size that the library takes; another size paints again; a sample paints."
    from selenium.webdriver.common.by import By
    from monet_course.workshop.pictures import WORKING_SIZE, working_size
    assert (side := visitor.find('side').get_attribute('value')) == str(WORKING_SIZE), (
        f'the page begins with {side} pixels, the library with {WORKING_SIZE}')
    photo_of(1000, 700).save(folder/'wide.png')
    visitor.give(folder/'wide.png'); time.sleep(.2); visitor.wait()
    same_as_pytorch(visitor, painter, working_size((1000, 700)))
    visitor.driver.find_element(By.CSS_SELECTOR, '[data-sample=pagoda]').click(); time.sleep(.3); visitor.wait()
    same_as_pytorch(visitor, painter, (640, 427))
    visitor.choose(256); time.sleep(.1); visitor.wait()
    same_as_pytorch(visitor, painter, (256, 171))


def slides(visitor):
    "The slider by keyboard and by mouse."
    from selenium.webdriver import ActionChains, Keys
    slider = visitor.find('slider')
    assert visitor.part() == 50, f'the slider begins at {visitor.part()}%'
    for keys, hidden in [(Keys.ARROW_RIGHT*3, 47), (Keys.END, 0), (Keys.HOME, 100), (Keys.ARROW_RIGHT, 99)]:
        slider.send_keys(keys)
        got, text = visitor.part(), slider.get_attribute('aria-valuetext')
        assert (got, text) == (hidden, f'{100 - hidden} percent painting'), (
            f'the keys leave {got}% of the painting hidden instead of {hidden}%, and say {text}')
    pair = visitor.find('pair')
    # from the middle
    ActionChains(visitor.driver).move_to_element_with_offset(pair, -pair.size['width']//4, 10).click().perform()
    assert abs(visitor.part() - 75) < 2, f'a click at a quarter hides {visitor.part()}% of the painting'
    assert visitor.driver.switch_to.active_element == slider, 'a click does not lead the keyboard to the slider'


def refuses(visitor, folder):
    "Files that are no pictures get a sentence, and the next photo is painted."
    (folder/'broken.jpg').write_bytes((folder/'lying.jpg').read_bytes()[:40]); (folder/'words.png').write_text('not a picture')
    for name in ('broken.jpg', 'words.png'):
        visitor.give(folder/name); time.sleep(.3)
        assert visitor.state() == 'failed' and f'{name} is not a picture' in visitor.says(), (visitor.state(),
                                                                                              visitor.says())
        assert not visitor.find('pair').is_displayed()


HAND = '''
const bytes = Uint8Array.from(atob(arguments[1]), c => c.charCodeAt(0)), carried = new DataTransfer();
carried.items.add(new File([bytes], 'carried.jpg', {type: 'image/jpeg'}));
document.dispatchEvent(arguments[0] === 'drop' ? new DragEvent('drop', {dataTransfer: carried, cancelable: true, bubbles: true})
                                               : new ClipboardEvent('paste', {clipboardData: carried, bubbles: true}));'''
KEEP = 'HTMLAnchorElement.prototype.click = function () { self.kept = [this.download, this.href.slice(0, 5)] }'


def carries(driver, visitor, painter, folder):
    "A photo that is dropped, one that is pasted; the painting that is taken home."
    for how in ('drop', 'paste'):
        visitor.open()
        driver.execute_script(HAND, how, base64.b64encode((folder/'lying.jpg').read_bytes()).decode())
        visitor.wait()
        same_as_pytorch(visitor, painter, (187, 301))
    driver.execute_script(KEEP)
    driver.execute_script('arguments[0].scrollIntoView({block: "center", behavior: "instant"})',
                          button := visitor.find('download'))
    button.click(); time.sleep(.3)
    kept = driver.execute_script('return self.kept')
    assert kept == ['carried_monet.png', 'blob:'], f'the download is {kept}'


def cancels(visitor, folder):
    "A painting that is stopped ends at once; the next one is whole."
    photo_of(1024, 1024).save(folder/'large.png')
    visitor.choose(1024); visitor.give(folder/'large.png')
    end = time.time() + PATIENCE
    while 'Painting' not in visitor.says() and time.time() < end: time.sleep(.05)
    visitor.find('cancel').click()
    assert visitor.state() == 'empty' and visitor.says() == 'Stopped.' and not visitor.find('work').is_displayed(), visitor.says()
    visitor.choose(384); time.sleep(.1); visitor.wait()


def isolated(driver, painter, folder):
    "The same on a host that allows threads."
    server = serve(Isolated)
    visitor = Visitor(driver, f'http://127.0.0.1:{server.server_port}/_docs/paint_here.html')
    try:
        visitor.open(); assert driver.execute_script('return crossOriginIsolated'), 'this host should allow threads'
        visitor.give(folder/'square.png'); visitor.wait()
        same_as_pytorch(visitor, painter, (512, 512))
    finally: server.shutdown()
    print(f"paint: with threads {visitor.find('painter').get_attribute('data-seconds')} s")


def without(driver, visitor, what, says):
    "A browser that lacks something is told so in words."
    script = driver.execute_cdp_cmd('Page.addScriptToEvaluateOnNewDocument', dict(source=what))['identifier']
    visitor.open()
    assert visitor.state() == 'failed' and says in visitor.says() and not visitor.find('choose').is_displayed(), visitor.says()
    driver.execute_cdp_cmd('Page.removeScriptToEvaluateOnNewDocument', dict(identifier=script))


def breaks_off(driver, visitor, folder):
    "What cannot be loaded, or does not fit into memory, is said in words."
    for what, says in [('self.Worker = class { postMessage() { setTimeout(() => this.onmessage({data: {step: "failed", '
                        'why: "fetch painter.onnx: 404"}})) } terminate() {} }', 'could not be loaded'),
                       ('self.Worker = class { postMessage() { setTimeout(() => this.onmessage({data: {step: "failed", '
                        'why: "RangeError: Out of memory"}})) } terminate() {} }', 'too little memory')]:
        script = driver.execute_cdp_cmd('Page.addScriptToEvaluateOnNewDocument', dict(source=what))['identifier']
        visitor.open(); visitor.give(folder/'square.png'); time.sleep(.5)
        assert visitor.state() == 'failed' and says in visitor.says(), visitor.says()
        driver.execute_cdp_cmd('Page.removeScriptToEvaluateOnNewDocument', dict(identifier=script))


def look(driver, visitor, painter, folder, shots):
    "All of it, on a desk and on a phone."
    shot = lambda name: shots and save(driver, shots/f'paint_{name}.png')
    visitor.open(); shot('empty')
    paints(visitor, painter, folder); sizes(visitor, painter, folder); shot('done')
    visitor.choose(512); time.sleep(.1); visitor.wait()
    slides(visitor); refuses(visitor, folder); shot('refused'); cancels(visitor, folder); carries(driver, visitor,
                                                                                                  painter, folder)
    driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride',
                           dict(width=390, height=844, deviceScaleFactor=2, mobile=True))
    visitor.open(); visitor.give(folder/'lying.jpg'); time.sleep(.2); visitor.wait(); shot('phone')
    assert overflow(driver) <= 0, f'{overflow(driver)} pixels wider than a phone'
    assert visitor.find('pair').size['width'] <= 390
    driver.execute_cdp_cmd('Emulation.clearDeviceMetricsOverride', {})
    without(driver, visitor, 'delete self.WebAssembly', 'needs WebAssembly')
    without(driver, visitor, 'WebAssembly.validate = () => false', 'vector instructions')
    breaks_off(driver, visitor, folder)
    isolated(driver, painter, folder)


def serve(handler):
    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(handler, directory=SITE.parent))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def main():
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument('--shots', type=Path, help='folder for pictures of the page')
    parser.add_argument('--weights', help='compare with another painter, to see this tool fail')
    args = parser.parse_args()
    if why := chromium(): return print(f'paint: {why}; nothing was painted in a browser') or 0
    if not (SITE/'paint_here'/'painter.onnx').exists():
        return print('paint: this site was built without the painter') or 0
    from monet_course.paint import Painter
    painter, server, driver = Painter.load(args.weights, 'cpu'), serve(Quiet), browser(1300, 1000)
    # not at the top of its host, as where it is published
    visitor = Visitor(driver, f'http://127.0.0.1:{server.server_port}/_docs/paint_here.html')
    try:
        with tempfile.TemporaryDirectory() as folder: look(driver, visitor, painter, Path(folder), args.shots)
        wrong = [e['message'][:200] for e in driver.get_log('browser') if e['level'] == 'SEVERE']
        wrong += [f'fetched from elsewhere: {u[:100]}' for u in requests(driver)
                  if urlparse(u).scheme in ('http', 'https') and urlparse(u).hostname != '127.0.0.1']
        if wrong: raise AssertionError('\n'.join(wrong))
    except AssertionError as e: return print(f'paint: {e}', file=sys.stderr) or 1
    finally: driver.quit(); server.shutdown()
    size = sum(p.stat().st_size for p in (SITE/'paint_here').iterdir() if p.is_file())/1e6
    print(f'paint: the page paints as PyTorch does; {size:.1f} MB are loaded for it')


if __name__ == '__main__': sys.exit(main())
