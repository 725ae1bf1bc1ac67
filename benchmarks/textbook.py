"""CycleGAN's step as a textbook writes it: each picture through its network alone, default Adam, discriminators last.

The recipe of the original implementation (losses, weights, order, pool, layers), written anew for comparison.
Nothing is shared, batched, fused or cast.
"""
import random

import torch
import torch.nn as nn
import torch.nn.functional as F


def plain(net):
    "The same network out of PyTorch's own layers: its instance norm, activations in place. Changed in place."
    for m in net.modules():
        if isinstance(m, nn.InstanceNorm2d): m.__class__ = nn.InstanceNorm2d
        if isinstance(m, (nn.ReLU, nn.LeakyReLU)): m.inplace = True
    return net


class Pool:
    "Up to 50 fakes; half of the time an older one is shown instead of the new."
    def __init__(self, size=50): self.size, self.images = size, []

    def query(self, fakes):
        if not self.size: return fakes.detach()
        out = []
        for fake in fakes.detach():
            if len(self.images) < self.size: self.images.append(fake.clone())
            elif random.random() > .5:
                i = random.randrange(self.size)
                fake, self.images[i] = self.images[i], fake.clone()
            out.append(fake)
        return torch.stack(out)


def mse_to(scores, target): return F.mse_loss(scores, torch.full_like(scores, target))


class Textbook:
    "Two generators, two discriminators, and their step."
    def __init__(self, nets, lr=2e-4, cycle=10., identity=5., pool=50):
        self.nets, self.cycle, self.identity = nets, cycle, identity
        self.gens = [*nets.photo2monet.parameters(), *nets.monet2photo.parameters()]
        self.discs = [*nets.disc_monet.parameters(), *nets.disc_photo.parameters()]
        self.opt_gen = torch.optim.Adam(self.gens, lr, betas=(.5, .999))
        self.opt_disc = torch.optim.Adam(self.discs, lr, betas=(.5, .999))
        self.pool_monet, self.pool_photo = Pool(pool), Pool(pool)

    def step(self, photo, monet):
        "One step; gives the losses by the names that the course uses."
        n, losses = self.nets, {}
        fake_monet, fake_photo = n.photo2monet(photo), n.monet2photo(monet)
        cycled_photo, cycled_monet = n.monet2photo(fake_monet), n.photo2monet(fake_photo)
        for p in self.discs: p.requires_grad_(False)
        self.opt_gen.zero_grad()
        losses['identity_monet'] = F.l1_loss(n.photo2monet(monet), monet)
        losses['identity_photo'] = F.l1_loss(n.monet2photo(photo), photo)
        losses['gan_monet'] = mse_to(n.disc_monet(fake_monet), 1.)
        losses['gan_photo'] = mse_to(n.disc_photo(fake_photo), 1.)
        losses['cycle_photo'] = F.l1_loss(cycled_photo, photo)
        losses['cycle_monet'] = F.l1_loss(cycled_monet, monet)
        weights = dict(gan=1., cycle=self.cycle, identity=self.identity)
        sum(weights[name.split('_')[0]]*loss for name, loss in losses.items()).backward()
        self.opt_gen.step()

        for p in self.discs: p.requires_grad_(True)
        self.opt_disc.zero_grad()
        for name, disc, real, fake in [('disc_monet', n.disc_monet, monet, self.pool_monet.query(fake_monet)),
                                       ('disc_photo', n.disc_photo, photo, self.pool_photo.query(fake_photo))]:
            losses[name] = .5*(mse_to(disc(real), 1.) + mse_to(disc(fake), 0.))
            losses[name].backward()
        self.opt_disc.step()
        return {name: loss.item() for name, loss in losses.items()}
